//! The model server's own behaviour, over plain HTTP and without any CLI.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn send(server: &ModelServer, method: &str, path: &str, body: &Value) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: loopback\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

async fn ask(server: &ModelServer, messages: Value) -> Value {
    let body = json!({"model": "m", "messages": messages, "system": "You are the implementer."});
    let (status, text) = send(server, "POST", "/v1/messages?beta=true", &body).await;
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    answer["status"] = json!(status);
    answer
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"type": "text", "text": text}]})
}

fn said(answer: &Value) -> &str {
    answer["content"][0]["text"].as_str().unwrap_or_default()
}

fn responses_request(input: Value, tools: Value) -> Value {
    json!({"model": "m", "stream": true, "prompt_cache_key": "s1", "input": input, "tools": tools})
}

fn event(stream: &str, kind: &str) -> Value {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .rfind(|event| event["type"] == kind)
        .unwrap()
}

#[tokio::test]
async fn a_script_plays_turn_by_turn_as_the_conversation_grows() {
    let script = Script::new(
        Matcher::conversation("CASE:a")
            .and("the implementer")
            .only(Api::Messages),
        [
            Turn::say("looking")
                .then(Action::Bash("ls".into()))
                .then(Action::Read("a.txt".into())),
            Turn::say("done").usage(Usage {
                input: 7,
                output: 5,
                cached: 3,
            }),
        ],
    );
    let server = ModelServer::start(vec![script]).await;
    let first = ask(&server, json!([user("CASE:a go")])).await;
    assert_eq!(first["stop_reason"], "tool_use");
    let results: Vec<Value> = first["content"].as_array().unwrap()[1..]
        .iter()
        .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}))
        .collect();
    let messages = json!([
        user("CASE:a go"),
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": results},
    ]);
    let second = ask(&server, messages).await;
    assert_eq!(said(&second), "done");
    assert_eq!(second["usage"]["cache_read_input_tokens"], 3);
    let turns: Vec<_> = server.requests().iter().map(|request| request.turn).collect();
    assert_eq!(turns, [Some(0), Some(1)]);
}

#[tokio::test]
async fn an_unmatched_prompt_is_refused_and_recorded() {
    let server = ModelServer::start(Vec::new()).await;
    let answer = ask(&server, json!([user("nothing fits")])).await;
    assert_eq!(answer["status"], 400);
    assert_eq!(answer["error"]["message"], "no script matches: nothing fits");
    let (status, _) = send(&server, "POST", "/v1/messages/count_tokens", &json!({})).await;
    assert_eq!(status, 200);
    let (status, _) = send(&server, "GET", "/v1/models", &json!({})).await;
    assert_eq!(status, 200);
    let (status, _) = send(&server, "GET", "/elsewhere", &json!({})).await;
    assert_eq!(status, 404);
    let unmatched = server.unmatched();
    assert_eq!(unmatched.len(), 1);
    assert_eq!(
        (unmatched[0].message.as_str(), unmatched[0].status),
        ("nothing fits", Some(400))
    );
    assert_eq!(
        (server.requests().len(), server.requests()[3].path.as_str()),
        (4, "/elsewhere")
    );
    assert_eq!(
        (
            unmatched[0].method.as_str(),
            unmatched[0].headers["host"].as_str()
        ),
        ("POST", "loopback")
    );
    assert_eq!(
        (unmatched[0].session.as_str(), &unmatched[0].body["model"]),
        ("nothing fits", &json!("m"))
    );
}

#[tokio::test]
async fn later_user_messages_get_their_own_scripts() {
    let server = ModelServer::start(vec![
        Script::new(Matcher::message("again"), [Turn::say("once more")]).every_message(),
        Script::new(
            Matcher::conversation("CASE:b"),
            [Turn::say("one"), Turn::say("two")],
        ),
    ])
    .await;
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let opening = json!([user("CASE:b go")]);
    assert_eq!(said(&ask(&server, opening).await), "one");
    let follow_up = json!([user("CASE:b go"), assistant("one"), user("again")]);
    assert_eq!(said(&ask(&server, follow_up).await), "once more");
    let unscripted = json!([
        user("CASE:b go"),
        assistant("one"),
        user("again"),
        assistant("once more"),
        user("again"),
    ]);
    assert_eq!(said(&ask(&server, unscripted).await), "once more");
    let goes_on = json!([user("CASE:b go"), assistant("one"), user("carry on")]);
    assert_eq!(said(&ask(&server, goes_on).await), "two");
    let enforced = json!([
        user("CASE:b go"),
        assistant("one"),
        user("[structured-output-enforce] You MUST")
    ]);
    assert_eq!(said(&ask(&server, enforced).await), "two");
    let over = json!([
        user("CASE:b go"),
        assistant("one"),
        user("carry on"),
        assistant("two"),
        user("more")
    ]);
    assert_eq!(ask(&server, over).await["status"], 400);
}

#[tokio::test]
async fn errors_give_way_to_the_next_turn_and_limited_scripts_to_the_next_script() {
    let server = ModelServer::start(vec![
        Script::new(
            Matcher::conversation("CASE:c"),
            [
                Turn::status(429, "rate_limit_error", "slow").header("retry-after", "1"),
                Turn::say("recovered"),
            ],
        )
        .conversations(1),
        Script::new(
            Matcher::conversation("CASE:c"),
            [Turn::status(500, "api_error", "down")],
        ),
    ])
    .await;
    let first = json!([user("CASE:c first")]);
    assert_eq!(ask(&server, first.clone()).await["status"], 429);
    assert_eq!(said(&ask(&server, first).await), "recovered");
    let second = json!([user("CASE:c second")]);
    assert_eq!(ask(&server, second.clone()).await["status"], 500);
    assert_eq!(ask(&server, second).await["error"]["message"], "down");
    assert!(server.unmatched().is_empty());
}

#[test]
fn dropping_the_server_ends_a_connection_that_hangs() {
    let wait = Turn::new([Action::Wait(Duration::from_millis(1))]).then(Action::Hang);
    let hang = Script::new(Matcher::conversation("CASE:d"), [wait]);
    let also = Script::new(Matcher::conversation("CASE:e"), [Turn::hang()]);
    let server = ModelServer::start_blocking(vec![hang, also]);
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let body = json!({"messages": [user("CASE:d")]}).to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    while server.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.requests()[0].status, None);
    drop(server);
    let mut rest = Vec::new();
    let read = std::io::Read::read_to_end(&mut stream, &mut rest);
    assert!(read.is_err() || rest.is_empty());
}

#[tokio::test]
async fn messages_stream_carries_the_structured_output_call_and_usage() {
    let server = ModelServer::start(vec![Script::new(
        Matcher::conversation("CASE:f"),
        [Turn::structured(json!({"ok": true}))],
    )])
    .await;
    let mut body = json!({"model": "m", "stream": true, "messages": [user("CASE:f")]});
    body["tools"] = json!([{"name": "StructuredOutput", "input_schema": {}}]);
    let (_, stream) = send(&server, "POST", "/v1/messages", &body).await;
    assert_eq!(
        event(&stream, "content_block_start")["content_block"]["name"],
        "StructuredOutput"
    );
    assert_eq!(
        event(&stream, "content_block_delta")["delta"]["partial_json"],
        r#"{"ok":true}"#
    );
    assert_eq!(event(&stream, "message_delta")["usage"]["output_tokens"], 20);
    assert!(server.base_url().starts_with("http://127.0.0.1:"));
}

#[tokio::test]
async fn responses_edits_go_through_the_patch_tool_the_cli_offers() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("a.txt"), "one\nhello world\n").unwrap();
    let scripts = vec![Script::new(
        Matcher::conversation("CASE:g").only(Api::Responses),
        [Turn::edit("a.txt", "world", "moon").then(Action::Tool {
            name: "other".into(),
            input: json!({}),
        })],
    )];
    let server = ModelServer::start(scripts).await;
    let context = format!(
        "<environment_context><cwd>{}</cwd></environment_context>",
        place.path().display()
    );
    let message = |text: &str| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    let input = json!([message(&context), message("CASE:g")]);
    let wanted = "*** Begin Patch\n*** Update File: a.txt\n@@\n-hello world\n+hello moon\n*** End Patch";
    let custom = json!([{"type": "custom", "name": "apply_patch"}]);
    let function = json!([{"type": "function", "name": "apply_patch"}]);
    let shell = json!([{"type": "function", "name": "exec_command"}]);
    let script =
        json!([{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}]);
    for (tools, field, expected) in [
        (custom, "input", wanted.to_owned()),
        (function, "arguments", json!({"input": wanted}).to_string()),
        (
            shell,
            "arguments",
            json!({"cmd": patch::shell_apply(wanted), "yield_time_ms": 30000}).to_string(),
        ),
        (
            script,
            "input",
            format!("text(await tools.apply_patch({}));", json!(wanted)),
        ),
    ] {
        let (status, stream) = send(
            &server,
            "POST",
            "/v1/responses",
            &responses_request(input.clone(), tools),
        )
        .await;
        assert_eq!(status, 200);
        let completed = event(&stream, "response.completed");
        assert_eq!(completed["response"]["output"][0][field], expected);
        assert_eq!(completed["response"]["usage"]["input_tokens"], 100);
    }
    assert_eq!(server.requests()[0].session, "s1");
}

#[tokio::test]
async fn interleaved_calls_and_results_count_as_one_turn() {
    let both = Turn::bash("ls").then(Action::Write {
        path: "a".into(),
        text: "no newline".into(),
    });
    let scripts = vec![Script::new(
        Matcher::conversation("CASE:h"),
        [both, Turn::write("b", "x\n"), Turn::say("end")],
    )];
    let server = ModelServer::start(scripts).await;
    let shell = json!([{"type": "function", "name": "shell_command"}]);
    let mut input = vec![json!({"role": "user", "content": "CASE:h"})];
    for expected in [Some(0), Some(1), Some(2)] {
        let request = responses_request(json!(input), shell.clone());
        let (_, stream) = send(&server, "POST", "/v1/responses", &request).await;
        assert_eq!(server.requests().last().unwrap().turn, expected);
        for item in event(&stream, "response.completed")["response"]["output"]
            .as_array()
            .unwrap()
        {
            input.push(item.clone());
            input.push(json!({"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}));
        }
    }
}

/// The chunks of a stream in the Chat Completions protocol, without its end mark.
fn chunks(stream: &str) -> Vec<Value> {
    let data: Vec<&str> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(data.last(), Some(&"[DONE]"));
    data[..data.len() - 1]
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn chat_streams_words_calls_and_usage_turn_by_turn() {
    let turns = [
        Turn::say("looking")
            .then(Action::Bash("ls".into()))
            .then(Action::Edit {
                path: "a.txt".into(),
                find: "b".into(),
                replace: "c".into(),
            }),
        Turn::structured(json!({"ok": true})).usage(Usage {
            input: 7,
            output: 5,
            cached: 3,
        }),
    ];
    let server = ModelServer::start(vec![Script::new(
        Matcher::conversation("CASE:i")
            .and("the implementer")
            .only(Api::Chat),
        turns,
    )])
    .await;
    let system = "You are the implementer.\n<env>\n  Working directory: /workspace/x\n</env>";
    let mut messages = vec![
        json!({"role": "system", "content": system}),
        json!({"role": "user", "content": "CASE:i go"}),
    ];
    let tools = json!([{"type": "function", "function": {"name": "bash"}}]);
    let request =
        |messages: &[Value]| json!({"model": "m", "stream": true, "messages": messages, "tools": tools});
    let (_, first) = send(&server, "POST", "/v1/chat/completions", &request(&messages)).await;
    let first = chunks(&first);
    assert_eq!(first[0]["choices"][0]["delta"]["content"], "looking");
    let calls: Vec<Value> = first[1..3]
        .iter()
        .map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].clone())
        .collect();
    assert_eq!(
        (&calls[1]["index"], &calls[1]["function"]["name"]),
        (&json!(1), &json!("edit"))
    );
    let input: Value = serde_json::from_str(calls[1]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(
        input,
        json!({"filePath": "/workspace/x/a.txt", "oldString": "b", "newString": "c"})
    );
    assert_eq!(first[3]["choices"][0]["finish_reason"], "tool_calls");
    messages.push(json!({"role": "assistant", "content": "looking", "tool_calls": calls}));
    for call in &calls {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"}));
    }
    let (_, second) = send(&server, "POST", "/v1/chat/completions", &request(&messages)).await;
    let second = chunks(&second);
    assert_eq!(
        second[0]["choices"][0]["delta"]["content"],
        "```json\n{\"ok\":true}\n```"
    );
    assert_eq!(second[1]["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        second[2]["usage"],
        json!({
            "prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens": 5, "total_tokens": 15,
        })
    );
    let turns: Vec<_> = server.requests().iter().map(|request| request.turn).collect();
    assert_eq!(turns, [Some(0), Some(1)]);
}

#[tokio::test]
async fn a_request_for_a_title_costs_no_turn() {
    let server = ModelServer::start(vec![Script::new(Matcher::message("CASE:j"), [Turn::say("one")])]).await;
    let request = |system: &str| {
        let messages = json!([
            {"role": "system", "content": system},
            {"role": "user", "content": "CASE:j"},
        ]);
        json!({"model": "m", "messages": messages})
    };
    for (system, expected) in [
        ("You are a title generator. Be brief.", "A title"),
        ("You write code.", "one"),
    ] {
        let (status, answer) = send(&server, "POST", "/v1/chat/completions", &request(system)).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(status, 200);
        assert_eq!(answer["choices"][0]["message"]["content"], expected);
    }
    assert_eq!(server.requests()[0].script.as_deref(), Some(ASIDE));
    assert!(server.unmatched().is_empty());
}

#[tokio::test]
async fn gemini_streams_parts_turn_by_turn() {
    let server = ModelServer::start(vec![Script::new(
        Matcher::conversation("CASE:k").only(Api::Gemini),
        [
            Turn::write("a.txt", "x\n").then(Action::Bash("ls".into())),
            Turn::say("done"),
        ],
    )])
    .await;
    let context =
        "<session_context>\n- **Workspace Directories:**\n  - /workspace/x\n- **Directory Structure:**\n";
    let mut contents = vec![json!({"role": "user", "parts": [{"text": context}, {"text": "CASE:k go"}]})];
    let streamed = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    let (_, first) = send(&server, "POST", streamed, &json!({"contents": contents})).await;
    let first: Value = serde_json::from_str(first.strip_prefix("data: ").unwrap()).unwrap();
    let content = first["candidates"][0]["content"].clone();
    assert_eq!(
        content["parts"][0]["functionCall"]["args"],
        json!({"file_path": "/workspace/x/a.txt", "content": "x\n"})
    );
    assert_eq!(content["parts"][1]["functionCall"]["name"], "run_shell_command");
    assert_eq!(first["usageMetadata"]["totalTokenCount"], 120);
    let results: Vec<Value> = content["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| json!({"functionResponse": {"name": part["functionCall"]["name"], "response": {}}}))
        .collect();
    contents.push(content);
    contents.push(json!({"role": "user", "parts": results}));
    let whole = "/v1beta/models/gemini-2.5-flash:generateContent";
    let (_, second) = send(&server, "POST", whole, &json!({"contents": contents})).await;
    let second: Value = serde_json::from_str(&second).unwrap();
    assert_eq!(
        second["candidates"][0]["content"]["parts"],
        json!([{"text": "done"}])
    );
    let counting = "/v1beta/models/gemini-2.5-flash:countTokens";
    let (_, count) = send(&server, "POST", counting, &json!({"contents": contents})).await;
    assert_eq!(count, r#"{"totalTokens":100}"#);
    let (status, _) = send(&server, "POST", "/v1beta/models/m:embedContent", &json!({})).await;
    assert_eq!(status, 404);
}

/// Each CLI puts the name of a server before the name of its tool in its own way; the request tells how.
#[tokio::test]
async fn a_tool_of_a_server_is_called_as_the_request_names_it() {
    let input = json!({"question": "Which?"});
    let script = Script::new(Matcher::message("CASE:l"), [Turn::tool("ask", input.clone())]);
    let server = ModelServer::start(vec![script]).await;
    let messages = json!([user("CASE:l")]);
    let request = json!({"messages": messages, "tools": [{"name": "Task"}, {"name": "mcp__turno__ask"}]});
    let (_, answer) = send(&server, "POST", "/v1/messages", &request).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["content"][0]["name"], "mcp__turno__ask");
    assert_eq!(answer["content"][0]["input"], input);

    let tools =
        json!([{"type": "namespace", "name": "mcp__turno", "tools": [{"type": "function", "name": "ask"}]}]);
    let asked = responses_request(json!("CASE:l"), tools);
    let (_, stream) = send(&server, "POST", "/v1/responses", &asked).await;
    let call = event(&stream, "response.completed")["response"]["output"][0].clone();
    assert_eq!(
        (&call["name"], &call["namespace"]),
        (&json!("ask"), &json!("mcp__turno"))
    );

    let tools = json!([{"type": "function", "function": {"name": "turno_ask"}}]);
    let request = json!({"messages": [{"role": "user", "content": "CASE:l"}], "tools": tools});
    let (_, answer) = send(&server, "POST", "/v1/chat/completions", &request).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(
        (&call["name"], &call["arguments"]),
        (&json!("turno_ask"), &json!(input.to_string()))
    );

    let request = json!({
        "contents": [{"role": "user", "parts": [{"text": "CASE:l"}]}],
        "tools": [{"functionDeclarations": [{"name": "mcp_turno_ask"}]}],
    });
    let (_, answer) = send(&server, "POST", "/v1beta/models/m:generateContent", &request).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let call = &answer["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!((&call["name"], &call["args"]), (&json!("mcp_turno_ask"), &input));
}
