//! Answers in the Anthropic Messages protocol.

use serde_json::{Value, json};

use super::conversation::{Conversation, call_id};
use super::script::{Action, Turn};
use super::{Answer, fenced, sse_event};

/// Renders a scripted turn as a Messages answer, streamed when the request asks for that.
pub(super) fn answer(turn: &Turn, conversation: &Conversation, request: &Value, unique: &str) -> Answer {
    let blocks = blocks(turn, conversation, unique);
    let calls_tool = blocks.iter().any(|block| block["type"] == "tool_use");
    let stop_reason = if calls_tool { "tool_use" } else { "end_turn" };
    let usage = |output: u64| {
        json!({
            "input_tokens": turn.usage.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": turn.usage.cached,
            "output_tokens": output,
        })
    };
    let message = |content: &[Value], stop_reason: Option<&str>, output: u64| {
        json!({
            "id": format!("msg_{unique}"),
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": usage(output),
        })
    };
    if request["stream"] != true {
        return Answer::Json(message(&blocks, Some(stop_reason), turn.usage.output));
    }
    let mut stream = String::new();
    let mut event = |data: Value| stream.push_str(&sse_event(&data));
    event(json!({"type": "message_start", "message": message(&[], None, 1)}));
    for (index, block) in blocks.iter().enumerate() {
        let (start, delta) = start_and_delta(block);
        event(json!({"type": "content_block_start", "index": index, "content_block": start}));
        event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        event(json!({"type": "content_block_stop", "index": index}));
    }
    event(json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": null},
        "usage": usage(turn.usage.output),
    }));
    event(json!({"type": "message_stop"}));
    Answer::Stream(stream)
}

fn start_and_delta(block: &Value) -> (Value, Value) {
    if block["type"] == "tool_use" {
        let mut start = block.clone();
        start["input"] = json!({});
        (
            start,
            json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
        )
    } else {
        (
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": block["text"]}),
        )
    }
}

fn blocks(turn: &Turn, conversation: &Conversation, unique: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut call = |name: &str, input: Value| {
        let id = call_id(
            "toolu",
            conversation.latest().turns,
            &format!("{unique}{}", blocks.len()),
        );
        blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    };
    let mut said = Vec::new();
    for action in &turn.actions {
        match action {
            Action::Say(text) => said.push(text.clone()),
            Action::Bash(command) => {
                call(
                    "Bash",
                    json!({"command": command, "description": "Run a command"}),
                );
            }
            Action::Read(path) => call("Read", json!({"file_path": conversation.absolute(path)})),
            Action::Write { path, text } => {
                let path = conversation.absolute(path);
                if path.exists() {
                    call("Read", json!({"file_path": path}));
                }
                call("Write", json!({"file_path": path, "content": text}));
            }
            Action::Edit { path, find, replace } => {
                let path = conversation.absolute(path);
                call("Read", json!({"file_path": path}));
                call(
                    "Edit",
                    json!({"file_path": path, "old_string": find, "new_string": replace}),
                );
            }
            Action::Structured(value) if conversation.tool("StructuredOutput").is_some() => {
                call("StructuredOutput", value.clone());
            }
            Action::Structured(value) => said.push(fenced(value)),
            Action::Tool { name, input } => call(&conversation.named_tool(name).name, input.clone()),
            Action::Wait(_) | Action::Hang | Action::Status { .. } => {}
        }
    }
    let mut answer: Vec<Value> = said
        .into_iter()
        .map(|text| json!({"type": "text", "text": text}))
        .collect();
    answer.append(&mut blocks);
    answer
}
