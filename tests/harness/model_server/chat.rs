//! Answers in the OpenAI Chat Completions protocol, with the tools of the opencode CLI.

use serde_json::{Value, json};

use super::conversation::{Conversation, call_id};
use super::script::{Action, Turn};
use super::{Answer, fenced};

/// What opencode says to a model that is to name a session. It asks so beside the session's own first request.
const TITLE: &str = "You are a title generator";

/// The answer to a request that belongs to no conversation, if it is one.
pub(super) fn aside(conversation: &Conversation, request: &Value) -> Option<Answer> {
    let asks_title = conversation.tools.is_empty() && conversation.instructions.contains(TITLE);
    asks_title.then(|| render(&Said::words("A title"), request, super::Usage::default(), "aside"))
}

/// Renders a scripted turn as a Chat Completions answer, streamed when the request asks for that.
pub(super) fn answer(turn: &Turn, conversation: &Conversation, request: &Value, unique: &str) -> Answer {
    let mut said = Said::default();
    for action in &turn.actions {
        said.act(action, conversation, unique);
    }
    render(&said, request, turn.usage, unique)
}

fn render(said: &Said, request: &Value, usage: super::Usage, unique: &str) -> Answer {
    let finish = if said.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    };
    let input = usage.input + usage.cached;
    let usage = json!({
        "prompt_tokens": input,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens": usage.output,
        "total_tokens": input + usage.output,
    });
    let answer = |object: &str, choices: Value, usage: &Value| {
        json!({
            "id": format!("chatcmpl_{unique}"),
            "object": object,
            "created": 0,
            "model": request["model"],
            "choices": choices,
            "usage": usage,
        })
    };
    if request["stream"] != true {
        let mut message = json!({"role": "assistant", "content": said.text});
        if !said.calls.is_empty() {
            message["tool_calls"] = json!(said.calls);
        }
        let choices = json!([{"index": 0, "message": message, "finish_reason": finish}]);
        return Answer::Json(answer("chat.completion", choices, &usage));
    }
    let mut stream = String::new();
    let mut chunk = |choices: Value, usage: &Value| {
        let data = answer("chat.completion.chunk", choices, usage);
        stream.push_str(&format!("data: {data}\n\n"));
    };
    let delta = |delta: Value| json!([{"index": 0, "delta": delta, "finish_reason": null}]);
    let none = Value::Null;
    chunk(delta(json!({"role": "assistant", "content": said.text})), &none);
    for (index, call) in said.calls.iter().enumerate() {
        let mut call = call.clone();
        call["index"] = json!(index);
        chunk(delta(json!({"tool_calls": [call]})), &none);
    }
    chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]), &none);
    chunk(json!([]), &usage);
    stream.push_str("data: [DONE]\n\n");
    Answer::Stream(stream)
}

/// What an answer holds.
#[derive(Default)]
struct Said {
    text: String,
    calls: Vec<Value>,
}

impl Said {
    fn words(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            calls: Vec::new(),
        }
    }

    fn act(&mut self, action: &Action, conversation: &Conversation, unique: &str) {
        let mut call = |name: &str, input: &Value| {
            let id = call_id(
                "call",
                conversation.latest().turns,
                &format!("{unique}{}", self.calls.len()),
            );
            let function = json!({"name": name, "arguments": input.to_string()});
            self.calls
                .push(json!({"id": id, "type": "function", "function": function}));
        };
        match action {
            Action::Say(text) => self.say(text),
            Action::Structured(value) => self.say(&fenced(value)),
            Action::Bash(command) => call(
                "bash",
                &json!({"command": command, "description": "Run a command"}),
            ),
            Action::Read(path) => call("read", &json!({"filePath": conversation.absolute(path)})),
            Action::Write { path, text } => call(
                "write",
                &json!({"filePath": conversation.absolute(path), "content": text}),
            ),
            Action::Edit { path, find, replace } => call(
                "edit",
                &json!({"filePath": conversation.absolute(path), "oldString": find, "newString": replace}),
            ),
            Action::Tool { name, input } => call(&conversation.named_tool(name).name, input),
            Action::Wait(_) | Action::Hang | Action::Status { .. } => {}
        }
    }

    fn say(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }
}
