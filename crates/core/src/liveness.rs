//! Owns what is seen of a running agent and what that means: evidence becomes one activity, and an activity has a
//! limit. It decides nothing: that is `step/liveness.rs`. The shell gathers the evidence and asks no question of it.
//!
//! What counts as work: a use of a tool, words that were not said just before, money or tokens. A line that is none
//! of these, however often it comes, does not. What counts as progress: a use of a tool, a file that changed.

use serde::{Deserialize, Serialize};

use crate::units::{Span, Timestamp};

/// What an agent is doing, as far as it can be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// It says or does things.
    #[default]
    Working,
    /// It says things and spends money, but uses no tool and changes no file.
    OnlyTalking,
    /// It is quiet, and something holds a connection open: the answer of its provider may be on its way.
    AwaitingProvider,
    /// It is quiet while a tool that it began has not ended.
    LongCommand {
        /// The tool, in one line.
        tool: String,
    },
    /// It is quiet and names no tool, but what it started computes, reads, or changes files.
    Computing,
    /// It waits for the answer to its question.
    AwaitingPerson,
    /// Nothing is seen of it.
    Silent,
    /// None of its processes is left, though its end was not told.
    Gone,
}

impl Activity {
    /// What it has done for so long, in words.
    pub fn phrase(&self, lasts: Span) -> String {
        let lasts = short(lasts);
        match self {
            Self::Working => "works".to_owned(),
            Self::OnlyTalking => format!("has talked for {lasts}, without a tool or a changed file"),
            Self::AwaitingProvider => {
                format!("has waited for {lasts} with a connection open, for its provider")
            }
            Self::LongCommand { tool } => format!("in a command for {lasts}: {tool}"),
            Self::Computing => format!("quiet for {lasts}, with busy processes"),
            Self::AwaitingPerson => format!("has waited for an answer for {lasts}"),
            Self::Silent => format!("silent for {lasts}"),
            Self::Gone => "has no process left".to_owned(),
        }
    }
}

/// Whether the processes of an agent are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processes {
    /// They are, or it cannot be seen.
    There,
    /// Its supervisor lives, and nothing below it does.
    Gone,
}

/// Whether anything in the process tree holds a connection to somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Something does.
    Open,
    /// Nothing does, or it cannot be seen.
    None,
}

/// Whether a question of it waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// One does.
    Open,
    /// None does.
    None,
}

/// What is seen of a running agent at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its processes.
    pub processes: Processes,
    /// Its questions.
    pub question: Question,
    /// The tool that it began last and that has not ended.
    pub tool: Option<String>,
    /// How long since it said or did anything that means something.
    pub quiet: Span,
    /// How long since its processes used the machine: time of a processor, or a disk.
    pub idle: Span,
    /// How long since a file in its slot changed. It is only looked for where it matters.
    pub unchanged: Span,
    /// How long since a tool was in use.
    pub toolless: Span,
    /// Its connections.
    pub connection: Connection,
}

impl Evidence {
    /// What it is doing, and for how long. Nothing is told apart that lasts less than `notice`.
    pub fn activity(&self, notice: Span) -> (Activity, Span) {
        let quiet = self.quiet >= notice;
        let recent = |since: Span| since < notice;
        if self.processes == Processes::Gone {
            return (Activity::Gone, Span(0));
        }
        if self.question == Question::Open {
            return (Activity::AwaitingPerson, self.quiet);
        }
        if let Some(tool) = &self.tool {
            return match quiet {
                true => (Activity::LongCommand { tool: tool.clone() }, self.quiet),
                false => (Activity::Working, Span(0)),
            };
        }
        if !quiet {
            let without = self.toolless.min(self.unchanged);
            return match recent(without) {
                true => (Activity::Working, Span(0)),
                false => (Activity::OnlyTalking, without),
            };
        }
        if recent(self.idle) || recent(self.unchanged) {
            return (Activity::Computing, self.quiet);
        }
        // What was computed in silence was work.
        let lasts = self.quiet.min(self.idle).min(self.unchanged);
        match self.connection {
            Connection::Open => (Activity::AwaitingProvider, lasts),
            Connection::None => (Activity::Silent, lasts),
        }
    }
}

/// How long an agent may go on in each way. Part of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Quiet for so long, it is reminded that somebody waits.
    pub silence: Span,
    /// Quiet for so long, it is stopped.
    pub silence_hard: Span,
    /// Quiet for so long in one command, it is stopped.
    pub longest_command: Span,
    /// Talking for so long without the use of a tool or a changed file, it is stopped.
    pub no_progress: Span,
}

/// What lasts less than this is not worth a record.
const NOTICE: Span = Span::seconds(60);
/// An activity is told when this part of its limit has passed, at the latest.
const PARTS: u64 = 4;
/// One attempt is reminded at most so often.
pub const NUDGES: usize = 2;

impl Patience {
    /// How long a way of going on lasts before it is told: each change costs a record.
    pub fn notice(&self) -> Span {
        let shortest = self.silence.min(self.silence_hard).min(self.no_progress);
        let part = Span(shortest.min(self.longest_command).0 / PARTS);
        part.min(NOTICE).max(Span(1))
    }
}

/// What was last told of a running agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// What it does.
    pub activity: Activity,
    /// Since when; the beginning of time where nothing was told yet.
    pub since: Timestamp,
    /// When it was reminded, oldest first.
    pub nudges: Vec<Timestamp>,
}

/// What is due of a watched agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is reminded.
    Nudge,
    /// It is stopped.
    Stop,
}

impl Watch {
    /// A watch of an agent that begins now.
    pub fn from(now: Timestamp) -> Self {
        Self {
            since: now,
            ..Self::default()
        }
    }

    /// What is next to be done about it if nothing else is heard, and when. A reminder only where it `can` be heard.
    pub fn due(&self, patience: &Patience, can: Hears) -> Option<(Timestamp, Due)> {
        let stop = |limit: Span| Some((self.since + limit, Due::Stop));
        match self.activity {
            Activity::Working | Activity::AwaitingPerson => None,
            Activity::OnlyTalking => stop(patience.no_progress),
            Activity::LongCommand { .. } | Activity::Computing => stop(patience.longest_command),
            Activity::AwaitingProvider => stop(patience.silence_hard),
            Activity::Gone => stop(Span(0)),
            Activity::Silent => {
                let told = self.nudges.last().is_some_and(|last| *last >= self.since);
                let nudge = can == Hears::Nudges && !told && self.nudges.len() < NUDGES;
                if nudge && patience.silence < patience.silence_hard {
                    return Some((self.since + patience.silence, Due::Nudge));
                }
                stop(patience.silence_hard)
            }
        }
    }

    /// What it does, where that is worth telling: whoever works needs no word.
    pub fn phrase(&self, now: Timestamp) -> Option<String> {
        if self.activity == Activity::Working {
            return None;
        }
        let does = self.activity.phrase(now.since(self.since));
        Some(match self.nudges.iter().filter(|n| **n >= self.since).count() {
            0 => does,
            _ => format!("{does}, and was reminded"),
        })
    }

    /// Why it was stopped for lack of life or progress, in words.
    pub fn why_stalled(&self, now: Timestamp) -> String {
        let lasted = short(now.since(self.since));
        match &self.activity {
            Activity::Working | Activity::Silent | Activity::AwaitingPerson => {
                format!("nothing was seen of it for {lasted}: no words, no tool, no work of its processes")
            }
            Activity::OnlyTalking => {
                format!("it talked for {lasted} without the use of a tool or a changed file")
            }
            Activity::AwaitingProvider => {
                format!("it waited {lasted} with a connection open, and no answer came")
            }
            Activity::LongCommand { tool } => format!("one command took {lasted} without an end: {tool}"),
            Activity::Computing => format!("its processes were busy for {lasted}, and it said nothing"),
            Activity::Gone => "none of its processes was left, and its end was not told".to_owned(),
        }
    }

    /// The same way of going on on a clock that has jumped by so many milliseconds.
    pub fn jumped(&mut self, by: i64) {
        self.since = self.since.moved(by);
        for nudge in &mut self.nudges {
            *nudge = nudge.moved(by);
        }
    }
}

/// Whether an agent can be told something while it works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hears {
    /// It cannot.
    #[default]
    Nothing,
    /// It takes a message in between.
    Nudges,
}

/// A length of time as people say it, in its two largest units.
pub fn short(span: Span) -> String {
    let seconds = span.0 / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) if seconds == 0 => format!("{} ms", span.0),
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} m"),
        (0, m, s) if m < 10 => format!("{m} m {s} s"),
        (0, m, _) => format!("{m} m"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} m"),
    }
}

/// Why the clock and the time that went by do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JumpWhy {
    /// The machine slept: nothing ran meanwhile.
    Slept,
    /// Somebody, or a time server, set the clock.
    Set,
}

#[cfg(test)]
mod tests;
