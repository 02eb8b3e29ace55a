//! Traces: a collector on this machine is told of a shift as the journal has it; one that is away changes nothing, and
//! is told later.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::project::Project;

const CONFIG: &str = r#"policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{usage: {usd: 0.02}}, {outcome: {verdict: approve}}]}
  - steps: [{usage: {input: 1200, output: 30}}, {write: {path: a.txt, text: "a\n"}}, {outcome: {summary: adds a}}]
"#;

fn project() -> Project {
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor");
    project.issue("Add a");
    project
}

/// A collector: it gives each span that it is sent.
fn collector() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    while !head.ends_with("\r\n\r\n") {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                            length = n.trim().parse().unwrap();
                        }
                        head.push_str(&line);
                    }
                    assert!(head.starts_with("POST /v1/traces "), "{head}");
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                        .as_array()
                        .unwrap()
                    {
                        tell.send(span.clone()).unwrap();
                    }
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                        .unwrap();
                }
            });
        }
    });
    (port, told)
}

fn spans(told: &Receiver<Value>) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(span) = told.recv_timeout(Duration::from_millis(500)) {
        all.push(span);
    }
    all
}

#[track_caller]
fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let found: Vec<_> = spans.iter().filter(|s| s["name"] == name).collect();
    assert_eq!(
        found.len(),
        1,
        "{name}: {:?}",
        spans.iter().map(|s| &s["name"]).collect::<Vec<_>>()
    );
    found[0]
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    all.iter()
        .find(|a| a["key"] == name)
        .map_or(&Value::Null, |a| &a["value"])
}

/// The tree of a shift in which one task landed.
fn is_whole(spans: &[Value]) {
    let shift = named(spans, "shift S1");
    let issue = named(spans, "issue 1");
    let task = named(spans, "task 1.1");
    let writes = named(spans, "invoke_agent engineer");
    let landing = named(spans, "landing");
    let reads = named(spans, "invoke_agent reviewer");
    assert_eq!(shift["parentSpanId"], Value::Null);
    for (child, parent) in [(issue, shift), (task, issue), (writes, task), (reads, task)] {
        assert_eq!(child["parentSpanId"], parent["spanId"], "{child} {parent}");
        assert_eq!(child["traceId"], shift["traceId"]);
        let at = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        let within = at(child, "startTimeUnixNano") >= at(parent, "startTimeUnixNano")
            && at(child, "endTimeUnixNano") <= at(parent, "endTimeUnixNano");
        assert!(within, "{child} {parent}");
    }
    let checks = spans.iter().find(|s| s["name"] == "checks").unwrap();
    assert_eq!(checks["parentSpanId"], writes["spanId"]);
    assert_eq!(landing["parentSpanId"], reads["spanId"]);
    assert_eq!(
        attribute(writes, "gen_ai.operation.name"),
        &json!({"stringValue": "invoke_agent"})
    );
    assert_eq!(
        attribute(writes, "gen_ai.usage.input_tokens"),
        &json!({"intValue": "1200"})
    );
    assert_eq!(
        attribute(writes, "gen_ai.usage.output_tokens"),
        &json!({"intValue": "30"})
    );
    assert_eq!(attribute(reads, "turno.cost_usd"), &json!({"doubleValue": 0.02}));
    assert_eq!(
        attribute(shift, "turno.shift.end"),
        &json!({"stringValue": "done"})
    );
    assert_eq!(shift["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(shift["spanId"].as_str().unwrap().len(), 16);
}

#[test]
fn a_collector_is_told_of_the_whole_shift() {
    let (port, told) = collector();
    let project = project();
    project.configure(&format!("[traces]\nendpoint = \"http://127.0.0.1:{port}\"\n"));
    let done = project.turno(&["run", "1"]).exits(0);
    assert!(!done.err.contains("traces"), "{}", done.err);
    is_whole(&spans(&told));
    // A second shift is a trace of its own, and nothing of the first comes again.
    project.issue("Add a again");
    project.turno(&["run", "2"]);
    let second = spans(&told);
    assert!(
        !second.is_empty() && second.iter().all(|s| s["name"] != "shift S1"),
        "{second:?}"
    );
    named(&second, "shift S2");
}

#[test]
fn a_collector_that_is_away_changes_nothing_and_is_told_later() {
    let away = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let project = project().env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{away}"));
    let done = project.turno(&["run", "1"]).exits(0);
    let warned = done.err.lines().filter(|l| l.contains("traces")).count();
    assert_eq!(warned, 1, "{}", done.err);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    let (port, told) = collector();
    let project = project.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"));
    project.issue("Add a again");
    project.turno(&["run", "2"]);
    let all = spans(&told);
    let first: Vec<Value> = all
        .iter()
        .filter(|s| s["traceId"] == named(&all, "shift S1")["traceId"])
        .cloned()
        .collect();
    is_whole(&first);
}

#[test]
fn without_a_word_nothing_is_sent_and_a_repository_has_none() {
    let (port, told) = collector();
    let project = project();
    project.turno(&["run", "1"]).exits(0);
    assert!(!project.state().join("traces-sent").exists());
    let config = format!("{CONFIG}[traces]\nendpoint = \"http://127.0.0.1:{port}\"\n");
    project.write(&[("turno.toml", &config)]);
    project.issue("Another");
    let refused = project.turno(&["run", "2"]);
    assert!(
        refused.code != 0 && refused.err.contains("your own"),
        "{}",
        refused.err
    );
    assert!(spans(&told).is_empty());
}
