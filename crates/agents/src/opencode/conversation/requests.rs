//! Owns our requests to the server: how they are numbered, in which order a session is begun or gone on with, and what
//! their answers mean.

use serde_json::Value;
use turno_core::command::Session;
use turno_core::failure::{Cause, Failure};
use turno_core::ids::SessionId;

use super::super::{Request, move_request, new_session_request, old_session_request, prompt_request};
use super::{Talk, Turn};
use crate::dialect::Signal;
use crate::text;
use crate::value::{number, text as text_at};

/// A request of ours that has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// In which directory the server works.
    Where,
    Session,
    /// That the session works there too.
    Move,
    Turn,
    /// Its end is heard as an event.
    Other,
}

impl Talk {
    pub(super) fn ask(&mut self, asked: Asked, request: &Request) -> String {
        self.last_id += 1;
        self.asked.insert(self.last_id, asked);
        request.line(self.last_id)
    }

    pub(super) fn send(&mut self, asked: Asked, request: &Request) -> Signal {
        Signal::Send(self.ask(asked, request))
    }

    pub(super) fn ask_turn(&mut self, words: &str) -> Signal {
        let session = self.session.clone().unwrap_or_default();
        self.turn = Turn::Waiting;
        self.error = None;
        self.words.clear();
        self.send(Asked::Turn, &prompt_request(&self.job, &session, words))
    }

    pub(super) fn answered(&mut self, response: &Value) -> Vec<Signal> {
        let asked = number(response, "/id").and_then(|id| self.asked.remove(&id));
        let Some(asked) = asked else {
            return vec![Signal::Notice(text::line(&format!(
                "an answer to no question: {}",
                response["id"]
            )))];
        };
        let status = number(response, "/status");
        if !status.is_some_and(|status| (200..300).contains(&status)) {
            return self.refused(asked, response);
        }
        match asked {
            Asked::Where => match (text_at(response, "/body/directory"), &self.job.session) {
                (Some(here), Session::Resume(id)) => {
                    self.here = Some(here.to_owned());
                    let request = old_session_request(&self.job, id.as_str());
                    vec![self.send(Asked::Session, &request)]
                }
                _ => self.failed(Failure::new(Cause::Agent, "it does not say where it works")),
            },
            Asked::Session => self.has_session(&response["body"]),
            Asked::Move => self.begin(),
            Asked::Turn | Asked::Other => Vec::new(),
        }
    }

    fn has_session(&mut self, session: &Value) -> Vec<Signal> {
        let Some(id) = text_at(session, "/id") else {
            return self.failed(Failure::new(Cause::Agent, "it began no session"));
        };
        self.session = Some(id.to_owned());
        match &self.here {
            Some(here) if text_at(session, "/directory") != Some(here) => {
                let request = move_request(id, here);
                vec![self.send(Asked::Move, &request)]
            }
            Some(_) | None => self.begin(),
        }
    }

    /// The session works where it should: it is named, and prompted.
    fn begin(&mut self) -> Vec<Signal> {
        let mut signals = Vec::new();
        if let Some(Ok(id)) = self.session.as_deref().map(str::parse::<SessionId>) {
            signals.push(Signal::Session(id));
        }
        let prompt = self.job.prompt.clone();
        signals.push(self.ask_turn(&prompt));
        signals
    }

    fn refused(&mut self, asked: Asked, response: &Value) -> Vec<Signal> {
        let why = text_at(response, "/body/data/message")
            .or_else(|| text_at(response, "/error"))
            .map_or_else(|| response["body"].to_string(), str::to_owned);
        let status = number(response, "/status").map_or(String::new(), |status| format!(" ({status})"));
        let what = match asked {
            Asked::Where => "it refused to say where it works",
            Asked::Session => "it refused the session",
            Asked::Move => {
                // It would work in another slot. The prompt tells the whole task, so a new session can do it.
                let notice = format!("begun anew, because the session cannot be moved here{status}: {why}");
                self.here = None;
                self.session = None;
                let request = new_session_request(&self.job);
                return vec![
                    Signal::Notice(text::line(&notice)),
                    self.send(Asked::Session, &request),
                ];
            }
            Asked::Turn => "it refused the turn",
            Asked::Other => {
                let notice = format!("it refused a request{status}: {why}");
                return vec![Signal::Notice(text::line(&notice))];
            }
        };
        let detail = text::line_of(&format!("{what}{status}: {why}"), 400);
        self.failed(Failure::new(Cause::Agent, detail))
    }
}
