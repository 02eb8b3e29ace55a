//! Final words of an agent. What is accepted as an outcome survives being written down and read again, has the
//! kind that was asked for, and is accepted once more in the form that agents write it in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turno_agents::schema;
use turno_core::event::AgentEnd;
use turno_core::outcome::{Outcome, OutcomeKind};

const KINDS: [OutcomeKind; 5] = [
    OutcomeKind::Plan,
    OutcomeKind::Change,
    OutcomeKind::Verdict,
    OutcomeKind::Acceptance,
    OutcomeKind::Choice,
];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*first) % KINDS.len()];
    let words = String::from_utf8_lossy(rest);
    match schema::end_of_words(kind, &words) {
        Ok(AgentEnd::Finished(outcome)) => {
            assert_eq!(outcome.kind(), kind);
            let written = serde_json::to_string(&outcome).expect("an outcome can be written down");
            let read: Outcome = serde_json::from_str(&written).expect("and be read again");
            assert_eq!(read, outcome);
            assert_eq!(schema::parse_text(kind, &words).as_ref(), Ok(&outcome));
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(words.trim()) {
                // The same object in a fence behind some prose is the same outcome.
                let fenced = format!("Done.\n\n```json\n{value}\n```\n");
                assert_eq!(schema::parse_text(kind, &fenced), Ok(outcome));
            }
        }
        Ok(AgentEnd::Asked(question)) => {
            assert!(!question.question.trim().is_empty());
            assert_eq!(schema::question_in_words(&words), Some(question));
        }
        Ok(AgentEnd::Failed(failure)) => panic!("words alone are no failure: {failure:?}"),
        Err(error) => assert!(!schema::repair_request(kind, &error).is_empty()),
    }
});
