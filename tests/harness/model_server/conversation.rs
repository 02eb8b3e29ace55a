//! What a model request says about its conversation: who is asking, what was said, how far it has come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The wire protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    /// Anthropic Messages, as the claude CLI speaks it.
    Messages,
    /// OpenAI Responses, as the codex CLI speaks it.
    Responses,
    /// OpenAI Chat Completions, as the opencode CLI speaks it.
    Chat,
    /// Gemini, as the gemini CLI speaks it.
    Gemini,
}

/// One user message (or several with no answer between them) and the number of model turns that followed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    /// The plain text the user sent.
    pub(crate) text: String,
    /// Model turns after it that the request shows.
    pub(crate) turns: usize,
}

/// A tool the request offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: String,
    /// The namespace it must be called in, if it is in one.
    pub(crate) namespace: Option<String>,
    /// Whether it takes free text instead of JSON arguments.
    pub(crate) freeform: bool,
}

/// The parts of a model request that scripts depend on.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    /// The protocol.
    pub(crate) api: Api,
    /// An id that stays the same over the requests of one session.
    pub(crate) session: String,
    /// System text, developer messages and instructions.
    pub(crate) instructions: String,
    /// The conversation cut at its plain user messages; never empty.
    pub(crate) segments: Vec<Segment>,
    /// The directory the CLI says it works in.
    pub(crate) cwd: Option<PathBuf>,
    /// The tools offered.
    pub(crate) tools: Vec<Tool>,
}

enum Piece {
    User(String),
    Model { turn: Option<usize> },
    Other,
}

impl Conversation {
    /// Reads an Anthropic Messages request.
    pub(crate) fn from_messages(headers: &BTreeMap<String, String>, body: &Value) -> Self {
        let mut instructions = texts(&body["system"]).join("\n");
        let mut pieces = Vec::new();
        for message in array(&body["messages"]) {
            match message["role"].as_str() {
                Some("system") => {
                    let text = texts(&message["content"]).join("\n");
                    pieces.push(queued_message(&text).map_or(Piece::Other, Piece::User));
                    append(&mut instructions, &text);
                }
                Some("assistant") => pieces.extend(assistant_pieces(&message["content"])),
                _ => pieces.extend(user_pieces(&message["content"])),
            }
        }
        let cwd = after_last(&instructions, "Primary working directory: ", "\n");
        let session = headers.get("x-claude-code-session-id").cloned();
        Self::assemble(
            Api::Messages,
            session,
            instructions,
            pieces,
            cwd,
            offered(&body["tools"]),
        )
    }

    /// Reads an OpenAI Responses request.
    pub(crate) fn from_responses(headers: &BTreeMap<String, String>, body: &Value) -> Self {
        let mut instructions = body["instructions"].as_str().unwrap_or_default().to_owned();
        let mut tools = offered(&body["tools"]);
        let mut pieces = Vec::new();
        let mut cwd = None;
        if let Some(text) = body["input"].as_str() {
            pieces.push(Piece::User(text.to_owned()));
        }
        for item in array(&body["input"]) {
            match item["type"].as_str().unwrap_or("message") {
                "message" => match item["role"].as_str() {
                    Some("developer" | "system") => {
                        append(&mut instructions, &texts(&item["content"]).join("\n"));
                        pieces.push(Piece::Other);
                    }
                    Some("assistant") => pieces.push(Piece::Model { turn: None }),
                    _ => {
                        for text in texts(&item["content"]) {
                            cwd = after_last(text, "<cwd>", "</cwd>").or(cwd);
                        }
                        pieces.extend(user_pieces(&item["content"]));
                    }
                },
                "additional_tools" => tools.extend(offered(&item["tools"])),
                "tool_search_output" => {
                    tools.extend(offered(&item["tools"]));
                    pieces.push(Piece::Other);
                }
                "reasoning" => pieces.push(Piece::Model { turn: None }),
                kind if kind.ends_with("_call") => {
                    pieces.push(Piece::Model {
                        turn: turn_of_call(&item["call_id"]),
                    });
                }
                _ => pieces.push(Piece::Other),
            }
        }
        let session = headers
            .get("thread-id")
            .cloned()
            .or_else(|| body["prompt_cache_key"].as_str().map(str::to_owned));
        Self::assemble(Api::Responses, session, instructions, pieces, cwd, tools)
    }

    /// Reads an OpenAI Chat Completions request.
    pub(crate) fn from_chat(headers: &BTreeMap<String, String>, body: &Value) -> Self {
        let mut instructions = String::new();
        let mut pieces = Vec::new();
        for message in array(&body["messages"]) {
            match message["role"].as_str() {
                Some("system" | "developer") => {
                    append(&mut instructions, &texts(&message["content"]).join("\n"));
                }
                Some("assistant") => {
                    pieces.extend(
                        texts(&message["content"])
                            .iter()
                            .map(|_| Piece::Model { turn: None }),
                    );
                    pieces.extend(array(&message["tool_calls"]).iter().map(|call| Piece::Model {
                        turn: turn_of_call(&call["id"]),
                    }));
                }
                Some("tool") => pieces.push(Piece::Other),
                _ => pieces.extend(user_pieces(&message["content"])),
            }
        }
        let cwd = after_last(&instructions, "Working directory: ", "\n");
        let session = headers.get("x-session-id").cloned();
        let tools = offered(&body["tools"]);
        Self::assemble(Api::Chat, session, instructions, pieces, cwd, tools)
    }

    /// Reads a Gemini request. It names no session: the first message stands for one.
    pub(crate) fn from_gemini(body: &Value) -> Self {
        let instructions = texts(&body["systemInstruction"]["parts"]).join("\n");
        let mut pieces = Vec::new();
        let mut cwd = None;
        for content in array(&body["contents"]) {
            let parts = array(&content["parts"]);
            if content["role"] == "model" {
                pieces.extend(parts.iter().map(|part| Piece::Model {
                    turn: turn_of_call(&part["functionCall"]["id"]),
                }));
                continue;
            }
            for text in texts(&content["parts"]) {
                cwd = after_last(text, "**Workspace Directories:**\n  - ", "\n").or(cwd);
            }
            pieces.extend(user_pieces(&content["parts"]));
        }
        let tools = array(&body["tools"])
            .iter()
            .flat_map(|tool| offered(&tool["functionDeclarations"]))
            .collect();
        Self::assemble(Api::Gemini, None, instructions, pieces, cwd, tools)
    }

    fn assemble(
        api: Api,
        session: Option<String>,
        instructions: String,
        pieces: Vec<Piece>,
        cwd: Option<String>,
        tools: Vec<Tool>,
    ) -> Self {
        let segments = segments(pieces);
        let session = session.unwrap_or_else(|| segments[0].text.clone());
        Self {
            api,
            session,
            instructions,
            segments,
            cwd: cwd.map(PathBuf::from),
            tools,
        }
    }

    /// Whether the instructions or the first user message contain `needle`.
    pub(crate) fn opening_contains(&self, needle: &str) -> bool {
        self.instructions.contains(needle) || self.segments[0].text.contains(needle)
    }

    /// The latest user message and the turns after it.
    pub(crate) fn latest(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    /// `path` made absolute by the announced working directory.
    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        match &self.cwd {
            Some(cwd) => cwd.join(path),
            None => Path::new(path).to_path_buf(),
        }
    }

    /// The offered tool of that name.
    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The offered tool of that name, else one whose name ends with it: each CLI puts the name of its server before
    /// the name of a tool in its own way. When none is offered it is called by the bare name, as a model may.
    pub(crate) fn named_tool(&self, name: &str) -> Tool {
        let ending = format!("_{name}");
        self.tool(name)
            .or_else(|| self.tools.iter().find(|tool| tool.name.ends_with(&ending)))
            .cloned()
            .unwrap_or_else(|| Tool {
                name: name.to_owned(),
                namespace: None,
                freeform: false,
            })
    }
}

/// Text the CLIs put into user messages by themselves.
const HOUSEKEEPING: &[&str] = &[
    "<system-reminder>",
    "[structured-output-enforce]",
    "[Request interrupted by user",
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<turn_aborted>",
    "<model_switch>",
    "<session_context>",
];

/// The text claude passes on when a user message arrives while it is at work.
fn queued_message(system_text: &str) -> Option<String> {
    let text = system_text.strip_prefix("The user sent a new message while you were working:\n")?;
    Some(
        text.split("\n\nIMPORTANT: After completing")
            .next()
            .unwrap_or(text)
            .to_owned(),
    )
}

fn user_pieces(content: &Value) -> Vec<Piece> {
    let mut pieces = vec![Piece::Other];
    for text in texts(content) {
        let opening = text.trim_start();
        if !opening.is_empty() && !HOUSEKEEPING.iter().any(|prefix| opening.starts_with(prefix)) {
            pieces.push(Piece::User(text.to_owned()));
        }
    }
    pieces
}

fn assistant_pieces(content: &Value) -> Vec<Piece> {
    match content {
        Value::Array(blocks) => blocks
            .iter()
            .map(|block| Piece::Model {
                turn: turn_of_call(&block["id"]),
            })
            .collect(),
        _ => vec![Piece::Model { turn: None }],
    }
}

/// Calls of one turn may come back interleaved with their results, so calls count by the turn in their id
/// and only answers without calls count by adjacency.
fn segments(pieces: Vec<Piece>) -> Vec<Segment> {
    let mut segments = vec![Segment::default()];
    let mut last_call_turn = None;
    let mut adjacent = false;
    for piece in pieces {
        let current = segments.len() - 1;
        match piece {
            Piece::User(text) => {
                if segments[current].turns > 0 {
                    segments.push(Segment { text, turns: 0 });
                } else {
                    append(&mut segments[current].text, &text);
                }
                last_call_turn = None;
                adjacent = false;
            }
            Piece::Model { turn } => {
                let same_call_turn = turn.is_some() && turn == last_call_turn;
                let continues = adjacent && (turn.is_none() || last_call_turn.is_none());
                if !same_call_turn && !continues {
                    segments[current].turns += 1;
                    last_call_turn = None;
                }
                last_call_turn = turn.or(last_call_turn);
                adjacent = true;
            }
            Piece::Other => adjacent = false,
        }
    }
    segments
}

/// The id of a call made in model turn `turn` of the current user message.
pub(crate) fn call_id(prefix: &str, turn: usize, unique: &str) -> String {
    format!("{prefix}_t{turn}_{unique}")
}

fn turn_of_call(id: &Value) -> Option<usize> {
    id.as_str()?.split('_').nth(1)?.strip_prefix('t')?.parse().ok()
}

fn offered(tools: &Value) -> Vec<Tool> {
    let mut found = Vec::new();
    for tool in array(tools) {
        if tool["type"] == "namespace" {
            let namespace = tool["name"].as_str().map(str::to_owned);
            found.extend(offered(&tool["tools"]).into_iter().map(|tool| Tool {
                namespace: namespace.clone(),
                ..tool
            }));
        } else if let Some(name) = tool["name"]
            .as_str()
            .or_else(|| tool["function"]["name"].as_str())
        {
            found.push(Tool {
                name: name.to_owned(),
                namespace: None,
                freeform: tool["type"] == "custom",
            });
        }
    }
    found
}

fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text.as_str()],
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}

fn after_last(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.rsplit_once(start)?;
    let found = rest.split(end).next()?.trim();
    (!found.is_empty()).then(|| found.to_owned())
}
