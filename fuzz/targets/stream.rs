//! What an agent prints. The first byte picks the dialect and the outcome, the second where the output is cut in two
//! pieces. Nothing panics, what is shown is one short line, what is sent is one line of JSON, and where a read
//! happens to end makes no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turno_agents::dialect::{Cue, Exit, Job, Line, Parting, Protected, Signal};
use turno_agents::limits::QuotaSaid;
use turno_agents::{DialectKind, dialect};
use turno_core::command::Session;
use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::outcome::OutcomeKind;
use turno_core::persona::{Access, Effort, Model, Tools};
use turno_core::units::{MicroUsd, Price};
use turno_engine::transcript::Lines;

/// Small, so that cut lines are common.
const CAP: usize = 2000;
/// A line for people is no longer, in characters.
const SHORT: usize = 160;

const KINDS: [OutcomeKind; 5] = [
    OutcomeKind::Change,
    OutcomeKind::Plan,
    OutcomeKind::Verdict,
    OutcomeKind::Acceptance,
    OutcomeKind::Choice,
];

fn job(outcome: OutcomeKind) -> Job {
    let price = Price {
        input: MicroUsd(1_000_000),
        output: MicroUsd(10_000_000),
        cache_read: MicroUsd(100_000),
        cache_write: MicroUsd(1_000_000),
    };
    Job {
        program: "agent".to_owned(),
        turno: "/opt/turno".to_owned(),
        extra_args: Vec::new(),
        cwd: "/workspace".to_owned(),
        attempt_dir: "/attempts/1".to_owned(),
        system: "You are the engineer.".to_owned(),
        prompt: "Mend the parser.".to_owned(),
        session: Session::Fresh,
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: Access::Write,
        tools: Tools::ByAccess,
        outcome,
        cap: MicroUsd(2_500_000),
        prices: [("claude-sonnet-4", price), ("default", price)]
            .map(|(model, price)| (model.to_owned(), price))
            .into(),
        tool_servers: Vec::new(),
        protected: Protected {
            globs: vec!["tests/**".to_owned()],
            named: vec!["tests/new.rs".to_owned()],
        },
        cue: Cue {
            persona: "engineer".parse().expect("a name"),
            task: "7.2".parse().expect("an id"),
            title: "Mend the parser".to_owned(),
            round: 1,
        },
    }
}

/// Whether the agent was held back at the end of a turn.
enum Held {
    NotYet,
    Was,
}

fn hear(kind: DialectKind, job: &Job, pieces: &[&[u8]]) -> (Vec<Signal>, AgentEnd) {
    let mut talk = dialect(kind).converse(job);
    let mut heard = Vec::new();
    let mut held = Held::NotYet;
    let mut lines = Lines::new(CAP);
    let mut each = |line: Line<'_>| {
        for signal in talk.line(line) {
            if let Signal::Asked { key, .. } = &signal {
                let answer = Reply::Answer("yes".to_owned());
                heard.extend(talk.answer(key, &answer).into_iter().map(Signal::Send));
            }
            if let Signal::Leaving { key } = &signal {
                // It is held back once, and may go when it wishes so again.
                let parting = match std::mem::replace(&mut held, Held::Was) {
                    Held::NotYet => Parting::Stay {
                        why: "say \"more\"\nfirst".to_owned(),
                    },
                    Held::Was => Parting::Go,
                };
                heard.extend(talk.part(key, &parting).into_iter().map(Signal::Send));
            }
            heard.push(signal);
        }
    };
    for piece in pieces {
        lines.take(piece, &mut each);
    }
    lines.finish(each);
    heard.extend(talk.interrupt().into_iter().map(Signal::Send));
    (heard, talk.end(Exit::Code(0), "gone"))
}

fuzz_target!(|data: &[u8]| {
    let [first, cut, said @ ..] = data else { return };
    let kind = DialectKind::ALL[usize::from(*first) % DialectKind::ALL.len()];
    let job = job(KINDS[usize::from(*first) / DialectKind::ALL.len() % KINDS.len()]);
    let whole = hear(kind, &job, &[said]);
    let (a, b) = said.split_at(said.len() * usize::from(*cut) / 256);
    assert_eq!(whole, hear(kind, &job, &[a, b]), "{kind}");

    let mut closed = 0;
    for signal in &whole.0 {
        match signal {
            Signal::CloseInput => closed += 1,
            Signal::Send(line) => {
                assert!(!line.contains('\n'));
                assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
            }
            Signal::Notice(line)
            | Signal::ToolStarted(line)
            | Signal::ToolEnded(line)
            | Signal::Quota(QuotaSaid { window: line, .. }) => {
                assert!(line.chars().count() <= SHORT, "{line}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
            Signal::Asked { question, .. } => assert!(!question.question.trim().is_empty()),
            Signal::Session(_)
            | Signal::Text(_)
            | Signal::Spent(_)
            | Signal::HeldOff(_)
            | Signal::Heard { .. }
            | Signal::Leaving { .. } => {}
        }
    }
    assert!(closed <= 1);
    if let AgentEnd::Failed(failure) = &whole.1 {
        assert!(!failure.detail.is_empty());
    }
});
