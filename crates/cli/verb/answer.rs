//! `turno answer`: lists the questions that wait for a person, and answers them.

use std::io::Read;
use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::decision::{Asker, Decision, Question};
use turno_core::event::Event;
use turno_core::ids::DecisionId;
use turno_core::units::Timestamp;
use turno_core::view;
use turno_engine::run::now;

use crate::args::Answer;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Answer) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    let Some(id) = verb.decision else {
        return list(&state, verb.json);
    };
    let given = give(&mut door, id, &words(&verb.answer)?).await?;
    print::data(&format!("{id} is answered: {}", print::plain(&given.answer, 200)));
    if let Some(next) = &given.next {
        print::note(next);
    }
    Ok(ExitCode::SUCCESS)
}

/// An answer that was given.
pub(super) struct Given {
    /// In these words.
    pub(super) answer: String,
    /// What a person does for it to be heard, where that takes something.
    pub(super) next: Option<String>,
}

/// Answers a question with what was typed.
pub(super) async fn give(door: &mut Door, id: DecisionId, typed: &str) -> Result<Given, Failure> {
    let state = door.state().await?;
    let decision = state.decisions.get(&id).ok_or(Refused::NoSuchDecision(id))?;
    let answer = meant(&decision.question, typed, id)?;
    let event = Event::DecisionAnswered {
        decision: id,
        answer: answer.clone(),
    };
    door.take(event).await?;
    let task = decision.task;
    let next = match state.shift() {
        Some(_) => None,
        None => Some(format!(
            "task {task} goes on with the next `turno run {}`",
            task.issue
        )),
    };
    Ok(Given { answer, next })
}

fn list(state: &State, json: bool) -> Result<ExitCode, Failure> {
    let open = view::status(state).decisions;
    if json {
        print::json(&open)?;
        return Ok(ExitCode::SUCCESS);
    }
    if open.is_empty() {
        print::data("no question waits for an answer");
    }
    for decision in &open {
        for line in question_lines(decision, now()) {
            print::data(&line);
        }
    }
    if let [first, ..] = &open[..] {
        print::note(&format!(
            "answer one with `turno answer {} LABEL|NUMBER|TEXT`",
            first.id
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What was typed, or what stands on standard input.
pub(super) fn words(typed: &[String]) -> Result<String, Failure> {
    if typed != ["-"] {
        return Ok(typed.join(" "));
    }
    let mut read = String::new();
    std::io::stdin()
        .read_to_string(&mut read)
        .map_err(|e| Failure::usage(format!("nothing can be read from standard input: {e}")))?;
    Ok(read.trim().to_owned())
}

/// The answer that is meant: an option by its label or, counted from 1, its number; else words of one's own.
pub(super) fn meant(question: &Question, typed: &str, id: DecisionId) -> Result<String, Failure> {
    let typed = typed.trim();
    let label = |label: &str| label.trim().to_lowercase();
    if let Some(option) = question.options.iter().find(|o| label(&o.label) == label(typed)) {
        return Ok(option.label.clone());
    }
    let count = question.options.len();
    match typed.parse::<usize>() {
        Err(_) => Ok(typed.to_owned()),
        // Without options a number is words like others.
        Ok(_) if count == 0 => Ok(typed.to_owned()),
        Ok(number) => match number.checked_sub(1).and_then(|n| question.options.get(n)) {
            Some(option) => Ok(option.label.clone()),
            None => Err(Failure::usage(format!(
                "{id} has the options 1 to {count}; {number} is none. If the number itself is the answer, say it \
                in a sentence"
            ))),
        },
    }
}

/// How to answer a question.
pub(crate) fn answer_hint(id: DecisionId) -> String {
    format!("    answer it with `turno answer {id} LABEL|NUMBER|TEXT`")
}

/// An open question, for people.
pub(crate) fn question_lines(decision: &Decision, now: Timestamp) -> Vec<String> {
    let who = match &decision.asker {
        Asker::Agent { actor, .. } => format!("{}/{}", actor.persona, actor.agent),
        Asker::Trial | Asker::Guard { .. } => "turno".to_owned(),
    };
    let question = &decision.question;
    let mut lines = vec![format!(
        "{} task {} {who}, {} ago: {}",
        print::bold(&decision.id.to_string()),
        decision.task,
        print::elapsed(now.since(decision.asked)),
        print::plain(&question.question, 2000)
    )];
    for (option, number) in question.options.iter().zip(1..) {
        let recommended = match &question.recommended {
            Some(label) if label.trim() == option.label.trim() => " (recommended)",
            Some(_) | None => "",
        };
        let detail = print::plain(&option.detail, 400);
        let detail = if detail.is_empty() {
            detail
        } else {
            format!(": {detail}")
        };
        lines.push(format!(
            "    {number}. {}{recommended}{detail}",
            print::plain(&option.label, 100)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use turno_core::decision::Choice;

    fn question(labels: &[&str]) -> Question {
        Question {
            question: "Which?".to_owned(),
            options: labels
                .iter()
                .map(|label| Choice {
                    label: (*label).to_owned(),
                    detail: String::new(),
                })
                .collect(),
            recommended: None,
        }
    }

    #[test]
    fn an_option_is_meant_by_its_label_or_its_number() {
        let of = |labels: &[&str], typed: &str| meant(&question(labels), typed, DecisionId(1));
        assert_eq!(
            of(&["tabs", "Four spaces"], "four spaces").unwrap(),
            "Four spaces"
        );
        assert_eq!(of(&["tabs", "spaces"], "2").unwrap(), "spaces");
        assert_eq!(of(&["2", "3"], "2").unwrap(), "2", "a label before a number");
        assert_eq!(of(&["tabs"], "as you like").unwrap(), "as you like");
        assert_eq!(of(&[], "7").unwrap(), "7");
        assert!(of(&["tabs"], "0").is_err());
        assert!(of(&["tabs"], "2").is_err());
    }
}
