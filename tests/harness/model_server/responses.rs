//! Answers in the OpenAI Responses protocol, with the edits the codex CLI understands.

use serde_json::{Value, json};

use super::conversation::{Conversation, Tool, call_id};
use super::script::{Action, Turn};
use super::{Answer, patch, sse_event};

/// How long codex waits for a command before it goes on with the command still running.
const COMMAND_YIELD_MS: u64 = 30_000;

/// Renders a scripted turn as a Responses answer, streamed when the request asks for that.
pub(super) fn answer(turn: &Turn, conversation: &Conversation, request: &Value, unique: &str) -> Answer {
    let items = Items::of(turn, conversation, unique);
    let usage = turn.usage;
    let id = format!("resp_{unique}");
    let response = |status: &str, output: &[Value]| {
        let counted = status == "completed";
        json!({
            "id": id,
            "object": "response",
            "created_at": 0,
            "status": status,
            "model": request["model"],
            "output": output,
            "usage": counted.then(|| json!({
                "input_tokens": usage.input + usage.cached,
                "input_tokens_details": {"cached_tokens": usage.cached},
                "output_tokens": usage.output,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.input + usage.cached + usage.output,
            })),
        })
    };
    if request["stream"] != true {
        return Answer::Json(response("completed", &items));
    }
    let mut stream = String::new();
    let mut sequence = 0_u64;
    let mut event = |mut data: Value| {
        data["sequence_number"] = json!(sequence);
        sequence += 1;
        stream.push_str(&sse_event(&data));
    };
    event(json!({"type": "response.created", "response": response("in_progress", &[])}));
    for (index, item) in items.iter().enumerate() {
        event(json!({"type": "response.output_item.added", "output_index": index, "item": started(item)}));
        for mut detail in details(item) {
            detail["item_id"] = item["id"].clone();
            detail["output_index"] = json!(index);
            event(detail);
        }
        event(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    event(json!({"type": "response.completed", "response": response("completed", &items)}));
    Answer::Stream(stream)
}

fn started(item: &Value) -> Value {
    let mut started = item.clone();
    started["status"] = json!("in_progress");
    match item["type"].as_str() {
        Some("message") => started["content"] = json!([]),
        Some("function_call") => started["arguments"] = json!(""),
        Some("tool_search_call") => {}
        _ => started["input"] = json!(""),
    }
    started
}

fn details(item: &Value) -> Vec<Value> {
    match item["type"].as_str() {
        Some("message") => {
            let text = &item["content"][0]["text"];
            vec![
                json!({"type": "response.output_text.delta", "content_index": 0, "delta": text}),
                json!({"type": "response.output_text.done", "content_index": 0, "text": text}),
            ]
        }
        Some("function_call") => vec![
            json!({"type": "response.function_call_arguments.delta", "delta": item["arguments"]}),
            json!({"type": "response.function_call_arguments.done", "arguments": item["arguments"]}),
        ],
        Some("tool_search_call") => Vec::new(),
        _ => vec![
            json!({"type": "response.custom_tool_call_input.delta", "delta": item["input"]}),
            json!({"type": "response.custom_tool_call_input.done", "input": item["input"]}),
        ],
    }
}

/// The tool of the protocol's own that finds further tools.
const TOOL_SEARCH: &str = "tool_search";

struct Items<'a> {
    conversation: &'a Conversation,
    unique: &'a str,
    items: Vec<Value>,
}

impl<'a> Items<'a> {
    fn of(turn: &Turn, conversation: &'a Conversation, unique: &'a str) -> Vec<Value> {
        let mut items = Self {
            conversation,
            unique,
            items: Vec::new(),
        };
        for action in &turn.actions {
            items.act(action);
        }
        let calls = items.items.iter().any(|item| item["type"] != "message");
        for item in &mut items.items {
            if item["type"] == "message" {
                item["phase"] = json!(if calls { "commentary" } else { "final_answer" });
            }
        }
        items.items
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Say(text) => self.say(text),
            Action::Structured(value) => self.say(&value.to_string()),
            Action::Bash(command) => self.shell(command),
            Action::Read(path) => self.shell(&format!("cat {}", patch::quoted(path))),
            Action::Write { path, text } => match patch::add(path, text) {
                Some(patch) => self.patch(&patch),
                None => self.shell(&patch::shell_write(path, text)),
            },
            Action::Edit { path, find, replace } => {
                let present = std::fs::read_to_string(self.conversation.absolute(path)).ok();
                self.patch(&patch::update(path, present.as_deref(), find, replace));
            }
            Action::Tool { name, input } if name == TOOL_SEARCH => self.search(input),
            Action::Tool { name, input } => self.call(&self.conversation.named_tool(name), input),
            Action::Wait(_) | Action::Hang | Action::Status { .. } => {}
        }
    }

    fn say(&mut self, text: &str) {
        let id = format!("msg_{}{}", self.unique, self.items.len());
        let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
        self.items.push(json!({
            "type": "message", "id": id, "role": "assistant", "status": "completed", "content": content,
        }));
    }

    fn shell(&mut self, command: &str) {
        let offered = |name| self.conversation.tool(name).cloned();
        if let Some(tool) = offered("exec_command") {
            self.call(&tool, &json!({"cmd": command, "yield_time_ms": COMMAND_YIELD_MS}));
        } else if let Some(tool) = offered("shell_command") {
            self.call(&tool, &json!({"command": command}));
        } else if let Some(tool) = offered("shell") {
            self.call(&tool, &json!({"command": ["bash", "-lc", command]}));
        } else if let Some(tool) = offered("exec") {
            let arguments = json!({"cmd": command, "yield_time_ms": COMMAND_YIELD_MS});
            self.call(
                &tool,
                &json!(format!("text(await tools.exec_command({arguments}));")),
            );
        } else {
            self.say("No shell tool is offered.");
        }
    }

    fn patch(&mut self, patch: &str) {
        let offered = |name| self.conversation.tool(name).cloned();
        if let Some(tool) = offered("apply_patch") {
            let input = if tool.freeform {
                json!(patch)
            } else {
                json!({"input": patch})
            };
            self.call(&tool, &input);
        } else if let Some(tool) = offered("exec").filter(|_| offered("exec_command").is_none()) {
            self.call(
                &tool,
                &json!(format!("text(await tools.apply_patch({}));", json!(patch))),
            );
        } else {
            self.shell(&patch::shell_apply(patch));
        }
    }

    /// Looks for tools that are not offered from the start, such as those of a server that codex was given.
    fn search(&mut self, input: &Value) {
        let unique = format!("{}{}", self.unique, self.items.len());
        self.items.push(json!({
            "type": "tool_search_call",
            "id": format!("tsc_{unique}"),
            "call_id": call_id("call", self.conversation.latest().turns, &unique),
            "status": "completed",
            "execution": "client",
            "arguments": input,
        }));
    }

    fn call(&mut self, tool: &Tool, input: &Value) {
        let unique = format!("{}{}", self.unique, self.items.len());
        let call_id = call_id("call", self.conversation.latest().turns, &unique);
        let mut item = json!({"call_id": call_id, "name": tool.name, "status": "completed"});
        if tool.freeform {
            item["type"] = json!("custom_tool_call");
            item["id"] = json!(format!("ctc_{unique}"));
            item["input"] = json!(input.as_str().map_or_else(|| input.to_string(), str::to_owned));
        } else {
            item["type"] = json!("function_call");
            item["id"] = json!(format!("fc_{unique}"));
            item["arguments"] = json!(input.to_string());
        }
        if let Some(namespace) = &tool.namespace {
            item["namespace"] = json!(namespace);
        }
        self.items.push(item);
    }
}
