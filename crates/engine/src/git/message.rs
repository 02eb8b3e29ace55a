//! Owns commit messages: how Turno writes them, and the trailers that say which work a commit came from.

use turno_core::ids::{AttemptId, PersonaName, TaskId};
use turno_core::units::MicroUsd;

/// Where a commit came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailers {
    /// For which task (and so for which issue).
    pub task: TaskId,
    /// In which role it was written.
    pub persona: PersonaName,
    /// In which attempt it was written.
    pub attempt: AttemptId,
    /// What it has cost so far.
    pub cost: MicroUsd,
}

impl Trailers {
    fn lines(&self) -> [(&'static str, String); 5] {
        [
            ("Turno-Issue", self.task.issue.to_string()),
            ("Turno-Task", self.task.to_string()),
            ("Turno-Persona", self.persona.to_string()),
            ("Turno-Attempt", self.attempt.to_string()),
            ("Turno-Cost", self.cost.to_string()),
        ]
    }
}

/// A message of Turno's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    /// The first line.
    pub subject: String,
    /// What follows; may be empty.
    pub body: String,
    /// Where the commit came from.
    pub trailers: Trailers,
}

impl CommitMessage {
    /// The whole text. Subject and body may come from an agent: they cannot break out of their place.
    pub(crate) fn text(&self) -> String {
        compose(&self.subject, &self.body, &self.trailers.lines())
    }
}

/// A whole message. Subject, body and values may come from an agent: they cannot break out of their place.
pub(super) fn compose(subject: &str, body: &str, trailers: &[(&str, String)]) -> String {
    let subject: String = one_line(subject).chars().take(200).collect();
    let subject = match subject.trim() {
        "" => "Change",
        some => some,
    };
    let body: String = body
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    let mut text = format!("{subject}\n");
    if !body.trim().is_empty() {
        text.push_str(&format!("\n{}\n", body.trim()));
    }
    // A paragraph of its own: nothing in the body counts as a trailer.
    text.push('\n');
    for (key, value) in trailers {
        text.push_str(&format!("{key}: {}\n", one_line(value)));
    }
    text
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The values of a trailer in a message.
pub(super) fn trailer(message: &str, key: &str) -> Vec<String> {
    read(message)
        .into_iter()
        .filter(|(k, _)| k.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
        .collect()
}

/// Whether a message says that it came from this task and attempt.
pub(crate) fn carries(message: &str, trailers: &Trailers) -> bool {
    let found = read(message);
    let says = |key: &str, value: &str| {
        let mut values = found
            .iter()
            .filter(|(k, _)| k.eq_ignore_ascii_case(key))
            .map(|(_, v)| v.as_str());
        values.next() == Some(value) && values.next().is_none()
    };
    says("Turno-Task", &trailers.task.to_string()) && says("Turno-Attempt", &trailers.attempt.to_string())
}

/// The message with the trailers, whatever it claimed before. Other trailers in it stay.
pub(crate) fn with_trailers(message: &str, trailers: &Trailers) -> String {
    let message = message.replace('\0', "");
    let kept: Vec<&str> = if read(&message).is_empty() {
        vec![message.trim_end()]
    } else {
        let (before, block) = message
            .trim_end()
            .rsplit_once("\n\n")
            .unwrap_or(("", message.trim_end()));
        let ours = |line: &&str| !line.to_ascii_lowercase().starts_with("turno-");
        let mut kept = vec![before, "\n"];
        for line in block.lines().filter(ours) {
            kept.extend(["\n", line]);
        }
        kept
    };
    let mut text: String = kept.concat().trim_end().to_owned();
    text.push_str(if read(&format!("{text}\n")).is_empty() {
        "\n\n"
    } else {
        "\n"
    });
    for (key, value) in trailers.lines() {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text
}

fn read(message: &str) -> Vec<(String, String)> {
    match git2::message_trailers_strs(message) {
        Ok(found) => found.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn trailers() -> Trailers {
        Trailers {
            task: "7.2".parse().unwrap(),
            persona: "engineer".parse().unwrap(),
            attempt: AttemptId(5),
            cost: MicroUsd(250_000),
        }
    }

    #[test]
    fn a_message_carries_its_trailers_and_the_body_cannot_forge_them() {
        let message = CommitMessage {
            subject: "Add\nTurno-Attempt: a9".into(),
            body: "why\n\nTurno-Task: 1.1\nTurno-Attempt: a9".into(),
            trailers: trailers(),
        };
        let text = message.text();
        assert!(text.starts_with("Add Turno-Attempt: a9\n\nwhy\n"), "{text}");
        assert!(text.ends_with("Turno-Attempt: a5\nTurno-Cost: $0.25\n"), "{text}");
        assert!(carries(&text, &trailers()));
        assert!(!carries(
            &text,
            &Trailers {
                attempt: AttemptId(9),
                ..trailers()
            }
        ));
    }

    #[rstest]
    #[case("Fix it\n", "Fix it\n\nTurno-Issue: 7\n")]
    #[case("Fix it\n\nlong words", "long words\n\nTurno-Issue: 7\n")]
    #[case("Fix it\n\nCo-authored-by: A <a@b>\n", "A <a@b>\nTurno-Issue: 7\n")]
    #[case(
        "Fix it\n\nTurno-Task: 1.1\nTurno-Attempt: a5\n",
        "Fix it\n\nTurno-Issue: 7\n"
    )]
    #[case("", "\n\nTurno-Issue: 7\n")]
    fn trailers_are_added_once_and_replace_claims(#[case] before: &str, #[case] part: &str) {
        let after = with_trailers(before, &trailers());
        assert!(after.contains(part), "{after:?}");
        assert!(carries(&after, &trailers()), "{after:?}");
        assert_eq!(after.matches("Turno-Attempt:").count(), 1, "{after:?}");
        assert_eq!(with_trailers(&after, &trailers()), after);
    }
}
