//! Whatever an agent prints: no panic, and always an end.

use proptest::prelude::*;
use turno_agents::dialect::{Exit, Job, Line, Parting, Signal};
use turno_agents::{DialectKind, dialect};
use turno_core::command::Session;
use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::persona::Access;

use crate::stage::{job, said, transcripts};

/// A recorded session: who speaks, what it was given, what it said.
struct Recording {
    kind: DialectKind,
    job: Job,
    lines: Vec<String>,
}

fn recordings() -> Vec<Recording> {
    let of = |kind: DialectKind| {
        let agent = kind.name();
        transcripts(agent).into_iter().map(move |name| {
            let mut job = job(Access::Write);
            if name == "resumed" {
                job.session = Session::Resume("an-earlier-one".parse().unwrap());
            }
            Recording {
                kind,
                job,
                lines: said(agent, &name),
            }
        })
    };
    [
        DialectKind::Claude,
        DialectKind::Codex,
        DialectKind::Opencode,
        DialectKind::Gemini,
        DialectKind::Acp,
    ]
    .into_iter()
    .flat_map(of)
    .collect()
}

/// Only some of the recordings were made with a schema or an instruction of ours.
fn has_outcome(lines: &[String]) -> bool {
    let given = |line: &String| {
        line.contains(r#""structured_output":{"summary""#) || line.contains(r#"```json\n{\"summary\""#)
    };
    lines.iter().any(given)
}

/// Every transcript, and every beginning of it: an agent can be killed after any line.
#[test]
fn every_transcript_is_heard_to_its_end() {
    let recordings = recordings();
    assert!(recordings.len() > 45);
    let mut finished = 0;
    for Recording { kind, job, lines } in recordings {
        for length in 0..=lines.len() {
            let mut talk = dialect(kind).converse(&job);
            let mut closed = 0;
            for line in &lines[..length] {
                for signal in talk.line(Line::Whole(line)) {
                    closed += usize::from(signal == Signal::CloseInput);
                }
            }
            assert!(closed <= 1);
            // Whether it ends well is told by the lines alone: the exit code is 0 throughout.
            let end = talk.end(Exit::Code(0), "");
            let well = matches!(end, AgentEnd::Finished(_));
            assert_eq!(
                well,
                closed == 1 && has_outcome(&lines[..length]),
                "{kind}: {end:?}"
            );
            finished += usize::from(well);
        }
    }
    assert!(finished >= 4, "{finished}");
}

/// Every transcript heard by every other dialect, too: a wrong program in the configuration.
#[test]
fn the_wrong_program_is_no_panic() {
    let speaks_acp = |kind| matches!(kind, DialectKind::Gemini | DialectKind::Acp);
    for recording in recordings() {
        for kind in DialectKind::ALL {
            let mut talk = dialect(kind).converse(&recording.job);
            for line in &recording.lines {
                talk.line(Line::Whole(line));
            }
            let same = kind == recording.kind || (speaks_acp(kind) && speaks_acp(recording.kind));
            let right = same && has_outcome(&recording.lines);
            let end = talk.end(Exit::Signal(9), "gone");
            assert_eq!(matches!(end, AgentEnd::Finished(_)), right, "{kind}");
        }
    }
}

fn kinds() -> impl Strategy<Value = DialectKind> {
    prop::sample::select(DialectKind::ALL.to_vec())
}

/// JSON that is built of the words the dialects look for, in any order and nesting.
fn odd_json() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "type",
        "subtype",
        "system",
        "assistant",
        "user",
        "result",
        "success",
        "message",
        "content",
        "usage",
        "method",
        "params",
        "id",
        "error",
        "item",
        "turn",
        "status",
        "completed",
        "failed",
        "threadId",
        "tokenUsage",
        "total",
        "last",
        "control_request",
        "can_use_tool",
        "request",
        "request_id",
        "rate_limit_event",
        "stream_event",
        "event",
        "message_start",
        "message_delta",
        "is_error",
        "structured_output",
        "total_cost_usd",
        "turn/completed",
        "item/completed",
        "thread/tokenUsage/updated",
        "rateLimits",
        "primary",
        "usedPercent",
        "outcome",
        "value",
        "spent",
        "summary",
        "response",
        "body",
        "over",
        "log",
        "properties",
        "sessionID",
        "session.status",
        "session.idle",
        "session.error",
        "retry",
        "busy",
        "message.updated",
        "message.part.updated",
        "part",
        "info",
        "permission.asked",
        "question.asked",
        "questions",
        "jsonrpc",
        "session/update",
        "session/request_permission",
        "sessionUpdate",
        "sessionId",
        "update",
        "agent_message_chunk",
        "tool_call",
        "tool_call_update",
        "toolCall",
        "toolCallId",
        "protocolVersion",
        "agentCapabilities",
        "stopReason",
        "end_turn",
        "configOptions",
        "tool_name",
        "AskUserQuestion",
        "input",
        "questions",
        "question",
        "options",
        "label",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        words.clone().prop_map(serde_json::Value::from),
        ".{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((words.clone(), inner), 0..6).prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
    .prop_map(|value| value.to_string())
}

/// A recorded line with some of its bytes gone or changed.
fn broken_line() -> impl Strategy<Value = String> {
    let lines: Vec<String> = recordings()
        .into_iter()
        .flat_map(|recording| recording.lines)
        .collect();
    (
        prop::sample::select(lines),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u8>(),
    )
        .prop_map(|(line, cut, at, byte)| {
            let mut bytes = line.into_bytes();
            let length = cut.index(bytes.len() + 1);
            bytes.truncate(length.max(1));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            String::from_utf8_lossy(&bytes).into_owned()
        })
}

#[derive(Debug, Clone)]
enum Heard {
    Whole(String),
    Cut(String),
    Interrupt,
    Answer(Reply),
}

fn heard() -> impl Strategy<Value = Heard> {
    prop_oneof![
        4 => odd_json().prop_map(Heard::Whole),
        2 => broken_line().prop_map(Heard::Whole),
        2 => broken_line().prop_map(Heard::Cut),
        1 => prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| Heard::Whole(String::from_utf8_lossy(&bytes).into_owned())),
        1 => Just(Heard::Interrupt),
        1 => ".{0,12}".prop_map(|words| Heard::Answer(Reply::Answer(words))),
        1 => Just(Heard::Answer(Reply::Parked)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_printed_makes_it_panic(
        kind in kinds(),
        lines in prop::collection::vec(heard(), 0..12),
        code in any::<i32>(),
        stderr in ".{0,40}",
    ) {
        let mut talk = dialect(kind).converse(&job(Access::Write));
        let mut closed = 0;
        let mut written = Vec::new();
        let mut asked = vec!["no-such-key".to_owned()];
        for line in &lines {
            let signals = match line {
                Heard::Whole(line) => talk.line(Line::Whole(line)),
                Heard::Cut(line) => talk.line(Line::Cut(line)),
                Heard::Interrupt => talk.interrupt().into_iter().map(Signal::Send).collect(),
                Heard::Answer(reply) => asked
                    .iter()
                    .flat_map(|key| talk.answer(key, reply))
                    .map(Signal::Send)
                    .collect(),
            };
            for signal in signals {
                match signal {
                    Signal::CloseInput => closed += 1,
                    Signal::Send(line) => written.push(line),
                    Signal::Quota(said) => {
                        prop_assert!(said.window.len() <= 40);
                        prop_assert!(said.window.chars().all(|c| c == '-' || c.is_ascii_alphanumeric()));
                    }
                    Signal::Notice(line) | Signal::ToolStarted(line) | Signal::ToolEnded(line) => {
                        prop_assert!(line.chars().count() <= 160);
                        prop_assert!(!line.contains(char::is_control));
                    }
                    Signal::Asked { key, question } => {
                        prop_assert!(!question.question.trim().is_empty());
                        asked.push(key);
                    }
                    Signal::Leaving { key } => {
                        let answer = talk.part(&key, &Parting::Go);
                        prop_assert!(!answer.is_empty(), "it would wait for ever");
                        written.extend(answer);
                    }
                    Signal::Session(_)
                    | Signal::Text(_)
                    | Signal::Spent(_)
                    | Signal::HeldOff(_)
                    | Signal::Heard { .. } => {}
                }
            }
        }
        prop_assert!(closed <= 1);
        for line in written {
            prop_assert!(!line.contains('\n'));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        }
        match talk.end(Exit::Code(code), &stderr) {
            AgentEnd::Failed(failure) => prop_assert!(!failure.detail.is_empty()),
            AgentEnd::Finished(_) | AgentEnd::Asked(_) => {}
        }
    }
}
