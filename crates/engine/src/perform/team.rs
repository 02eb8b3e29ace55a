//! Owns what a performed script says to the rest of the team: questions, proposals, findings, remarks. It uses the
//! same way to the coordinator as every agent's tools; where there is no coordinator nobody answers.

use turno_agents::script::{Ask, ScriptLine};
use turno_core::brief::{AnswerBrief, Brief};
use turno_core::decision::Reply;

use super::{doing, print};
use crate::tools::{Call, Given, Way};

/// What came of a question.
pub(super) enum Heard {
    /// This answer.
    Answer(String),
    /// Nobody answers now: the run is to end.
    Parked,
    /// There is nobody who could answer: the run goes on.
    Nobody,
}

/// The team, as far as there is one.
pub(super) struct Team {
    way: Option<Way>,
}

impl Team {
    pub(super) fn new(way: Option<Way>) -> Self {
        Self { way }
    }

    /// Uses a tool; `None` where there is no coordinator.
    fn call(&self, call: Call) -> std::io::Result<Option<Given>> {
        self.way
            .as_ref()
            .map(|way| way.call_and_wait(call).map_err(std::io::Error::other))
            .transpose()
    }

    /// The questions of this task that are answered.
    fn answers(&self) -> std::io::Result<Vec<AnswerBrief>> {
        match self.call(Call::Context)? {
            Some(Given::Done(text)) => {
                let brief: Brief = serde_json::from_str(&text)?;
                Ok(brief.answers)
            }
            Some(Given::Refused(why)) => Err(std::io::Error::other(why)),
            Some(Given::Replied(_)) | None => Ok(Vec::new()),
        }
    }

    /// The newest answer, for a conversation that is gone on with.
    pub(super) fn newest_answer(&self) -> std::io::Result<Option<String>> {
        Ok(self.answers()?.pop().map(|a| a.answer))
    }

    /// Asks, unless it was asked and answered before.
    pub(super) fn ask(&self, ask: &Ask) -> std::io::Result<Heard> {
        let question = ask.question();
        let known = self.answers()?.into_iter().rev();
        if let Some(before) = known.into_iter().find(|a| a.question == question.question) {
            return Ok(Heard::Answer(before.answer));
        }
        print(&ScriptLine::Ask {
            question: question.question.clone(),
            options: question.options.iter().map(|o| o.label.clone()).collect(),
        })?;
        match self.call(Call::Ask(question.clone()))? {
            None => Ok(Heard::Nobody),
            Some(Given::Replied(Reply::Answer(answer))) => Ok(Heard::Answer(answer)),
            Some(Given::Replied(Reply::Parked)) => {
                print(&ScriptLine::Parked { question })?;
                Ok(Heard::Parked)
            }
            Some(Given::Done(why) | Given::Refused(why)) => Err(std::io::Error::other(why)),
        }
    }

    /// Tells the team something. A refusal is said and is no failure.
    pub(super) fn tell(&self, what: &str, call: Call) -> std::io::Result<()> {
        let mut given = None;
        doing(what, || {
            given = self.call(call)?;
            Ok(())
        })?;
        let text = match given {
            None => "there is nobody to tell".to_owned(),
            Some(Given::Refused(why)) => format!("{what} was refused: {why}"),
            Some(Given::Done(_) | Given::Replied(_)) => return Ok(()),
        };
        print(&ScriptLine::Notice { text })
    }
}
