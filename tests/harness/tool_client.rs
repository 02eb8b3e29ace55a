//! Owns an MCP client by hand: JSON-RPC lines over the standard streams of `turno agent-tools` and `turno mcp`, so that
//! the servers' own library does not judge itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::project::Project;

/// The longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(50);

/// A client with its server.
pub(crate) struct ToolClient {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    last: u64,
}

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// These words.
    Text(String),
    /// A failure in these words.
    Error(String),
}

impl ToolClient {
    /// Starts the server with this environment and shakes hands.
    pub(crate) fn start(env: &BTreeMap<String, String>) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_turno"));
        server.arg("agent-tools").env_clear().envs(env);
        Self::of(server)
    }

    /// Starts the server of a person's own tools in a project and shakes hands.
    pub(crate) fn mcp(project: &Project) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_turno"));
        server
            .arg("mcp")
            .env_clear()
            .envs(project.environment())
            .current_dir(project.repo());
        Self::of(server)
    }

    fn of(mut server: Command) -> Self {
        let mut child = server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let line = line.unwrap();
                // Whoever listened may have heard enough.
                drop(tell.send(serde_json::from_str::<Value>(&line).unwrap()));
            }
        });
        let input = child.stdin.take().unwrap();
        let mut client = Self {
            child,
            input,
            lines,
            last: 0,
        };
        let id = client.send(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": { "name": "story", "version": "1" },
            }),
        );
        let told = client.wait(id);
        assert_eq!(told["result"]["serverInfo"]["name"], "turno", "{told}");
        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    fn write(&mut self, message: &Value) {
        self.write_line(&message.to_string());
    }

    /// Sends a line as it is.
    pub(crate) fn write_line(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    /// Sends a request; gives its id.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        let id = self.last;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The next message of the server.
    #[track_caller]
    pub(crate) fn next(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The answer to a request.
    #[track_caller]
    pub(crate) fn wait(&self, id: u64) -> Value {
        loop {
            let message = self.next();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Begins to use a tool; gives the request's id.
    pub(crate) fn begin(&mut self, tool: &str, arguments: Value) -> u64 {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "p" } });
        self.send("tools/call", params)
    }

    /// What a call came to.
    #[track_caller]
    pub(crate) fn came(&self, id: u64) -> Came {
        let told = self.wait(id);
        let result = &told["result"];
        let text = match result["content"][0]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => return Came::Error(told.to_string()),
        };
        if result["isError"] == true {
            Came::Error(text)
        } else {
            Came::Text(text)
        }
    }

    /// Uses a tool and waits for its end.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Came {
        let id = self.begin(tool, arguments);
        self.came(id)
    }
}

impl Drop for ToolClient {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
