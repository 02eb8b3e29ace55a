//! Owns the performer of scripts: the program of the hidden verb `turno perform`. It plays an agent for real:
//! it writes the files, runs the commands, spends, asks, fails, hangs and lies as it is written. What it prints
//! are the lines of the `script` dialect.

mod team;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{SigSet, Signal};
use turno_agents::dialect::Cue;
use turno_agents::limits::{QuotaSaid, Resets};
use turno_agents::script::{Ended, ScriptFile, ScriptLine, ScriptSession, Step, file::Failing, select};
use turno_core::command::Session;
use turno_core::failure::{Cause, Failure, Luck, RetryAfter};
use turno_core::ids::SessionId;
use turno_core::outcome::Proposed;
use turno_core::units::{Span, Timestamp};

use self::team::{Heard, Team};
use crate::process;
use crate::tools::{Call, Way};

/// The variable in which the commands of a script find the answer to its last question.
const ANSWER: &str = "TURNO_ANSWER";

/// Which script is performed, and for whom.
#[derive(Debug, Clone)]
pub struct Performance {
    /// The script's file.
    pub script: PathBuf,
    /// For whom.
    pub cue: Cue,
    /// The conversation that is gone on with, if one is.
    pub resume: Option<SessionId>,
    /// The way to the coordinator, if it runs in an attempt.
    pub way: Option<Way>,
}

/// Who performs.
struct Performer {
    team: Team,
    /// What its commands find in their environment.
    env: BTreeMap<String, String>,
}

/// How a step ended.
enum Next {
    GoOn,
    Leave(ExitCode),
}

/// Performs a session in the current directory.
///
/// # Errors
/// When nobody listens any more.
pub fn perform(performance: &Performance) -> std::io::Result<ExitCode> {
    let session = performance
        .resume
        .clone()
        .or_else(|| uuid::Uuid::new_v4().to_string().parse().ok());
    if let Some(id) = session {
        print(&ScriptLine::Session { id })?;
    }
    let text = match std::fs::read_to_string(&performance.script) {
        Ok(text) => text,
        Err(error) => return give_up(&format!("cannot read {}: {error}", performance.script.display())),
    };
    let file = match ScriptFile::parse(&text) {
        Ok(file) => file,
        Err(error) => return give_up(&format!("{} is no script: {error}", performance.script.display())),
    };
    let conversation = performance.resume.clone().map_or(Session::Fresh, Session::Resume);
    let Some(session) = select(&file, &performance.cue, &conversation) else {
        let cue = &performance.cue;
        return give_up(&format!(
            "{} has no session for persona {}, task {} `{}`, round {}",
            performance.script.display(),
            cue.persona,
            cue.task,
            cue.title,
            cue.round
        ));
    };
    let mut performer = Performer {
        team: Team::new(performance.way.clone()),
        env: BTreeMap::new(),
    };
    match performer.perform(session, &conversation) {
        Ok(Next::GoOn) => Ok(ExitCode::SUCCESS),
        Ok(Next::Leave(code)) => Ok(code),
        Err(error) => give_up(&error.to_string()),
    }
}

fn print(line: &ScriptLine) -> std::io::Result<()> {
    print_raw(&format!("{}\n", line.print()))
}

fn print_raw(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn give_up(why: &str) -> std::io::Result<ExitCode> {
    print(&ScriptLine::Failed {
        failure: Failure::new(Cause::Agent, why),
    })?;
    Ok(ExitCode::from(1))
}

impl Performer {
    fn perform(&mut self, session: &ScriptSession, conversation: &Session) -> std::io::Result<Next> {
        if let Session::Resume(_) = conversation
            && let Some(answer) = self.team.newest_answer()?
        {
            self.heard(&answer)?;
        }
        self.steps(&session.steps)
    }

    fn steps(&mut self, steps: &[Step]) -> std::io::Result<Next> {
        for step in steps {
            match self.take(step)? {
                Next::GoOn => {}
                leave @ Next::Leave(_) => return Ok(leave),
            }
        }
        Ok(Next::GoOn)
    }

    /// Takes an answer in: it is said, and the commands that follow find it.
    fn heard(&mut self, answer: &str) -> std::io::Result<()> {
        self.env.insert(ANSWER.to_owned(), answer.to_owned());
        print(&ScriptLine::Say {
            text: format!("The answer is: {answer}"),
        })
    }

    fn take(&mut self, step: &Step) -> std::io::Result<Next> {
        match step {
            Step::Say(text) => print(&ScriptLine::Say { text: text.clone() })?,
            Step::Write { path, text } => {
                let file = inside(path)?;
                if let Some(dir) = file.parent() {
                    std::fs::create_dir_all(dir)?;
                }
                doing(&format!("write {path}"), || std::fs::write(&file, text))?;
            }
            Step::Edit { path, find, replace } => {
                let file = inside(path)?;
                doing(&format!("edit {path}"), || {
                    let text = std::fs::read_to_string(&file)?;
                    if !text.contains(find.as_str()) {
                        return Err(std::io::Error::other(format!(
                            "{path} does not hold the text to replace"
                        )));
                    }
                    std::fs::write(&file, text.replacen(find.as_str(), replace, 1))
                })?;
            }
            Step::Run(run) => return self.shell(&run.command, run.failing),
            Step::Commit(message) => {
                let quoted = message.replace('\'', "'\\''");
                return self.shell(
                    &format!("git add -A && git commit -q -m '{quoted}'"),
                    Failing::Ends,
                );
            }
            Step::Ask(ask) => {
                let answer = match self.team.ask(ask)? {
                    Heard::Nobody => return Ok(Next::GoOn),
                    Heard::Parked => return Ok(Next::Leave(ExitCode::SUCCESS)),
                    Heard::Answer(answer) => answer,
                };
                self.heard(&answer)?;
                return self.steps(ask.after(&answer));
            }
            Step::Propose {
                title,
                brief,
                why,
                touches,
            } => {
                let proposed = Proposed {
                    title: title.clone(),
                    brief: brief.clone(),
                    why: why.clone(),
                    touches: touches.clone(),
                };
                self.team
                    .tell(&format!("propose `{title}`"), Call::ProposeTask(proposed))?;
            }
            Step::Note(text) => self.team.tell("note something", Call::Note(text.clone()))?,
            Step::Report(finding) => {
                let what = format!("report something in {}", finding.file);
                self.team.tell(&what, Call::ReportFinding(finding.clone()))?;
            }
            Step::Usage(usage) => print(&ScriptLine::Spent { usage: usage.clone() })?,
            Step::Quota {
                window,
                fill,
                resets_in,
            } => {
                let resets = resets_in.map_or(Resets::Unknown, Resets::In);
                let quota = QuotaSaid::new(window, *fill, resets);
                print(&ScriptLine::Quota { quota })?;
            }
            Step::Sleep(span) => std::thread::sleep(Duration::from_millis(span.0)),
            Step::Exit(code) => return Ok(Next::Leave(ExitCode::from(*code))),
            Step::Hang { stubborn } => {
                if *stubborn {
                    ignore_signals();
                }
                loop {
                    std::thread::sleep(Duration::from_secs(60));
                }
            }
            Step::Spawn(command) => {
                doing(&format!("leave `{command}` behind"), || {
                    process::leave_behind(command)
                })?;
            }
            Step::Flood {
                lines,
                bytes_per_line,
            } => {
                let line = format!("{}\n", "x".repeat(usize::try_from(*bytes_per_line).unwrap_or(0)));
                for _ in 0..*lines {
                    print_raw(&line)?;
                }
            }
            Step::Raw(text) => print_raw(text)?,
            Step::Fail {
                cause,
                detail,
                retry_in,
            } => {
                let retry_after = retry_in.map_or(RetryAfter::Policy, |span| RetryAfter::At(clock() + span));
                print(&ScriptLine::Failed {
                    failure: Failure {
                        cause: *cause,
                        detail: detail.clone(),
                        retry_after,
                        luck: Luck::NONE,
                    },
                })?;
                return Ok(Next::Leave(ExitCode::from(1)));
            }
            Step::Outcome(value) => print(&ScriptLine::Outcome { value: value.clone() })?,
        }
        Ok(Next::GoOn)
    }

    fn shell(&self, command: &str, failing: Failing) -> std::io::Result<Next> {
        print(&ScriptLine::ToolStarted {
            text: format!("run `{command}`"),
        })?;
        let output = process::run_scripted(command, &self.env)?;
        let ended = if output.status.success() {
            Ended::Well
        } else {
            Ended::Badly
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let end: Vec<&str> = said.lines().rev().take(3).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        let text = format!(
            "`{command}`: {}{}{}",
            output.status,
            if end.is_empty() { "" } else { ", " },
            end.join(" | ")
        );
        print(&ScriptLine::ToolEnded { text, ended })?;
        match (ended, failing) {
            (Ended::Well, _) | (Ended::Badly, Failing::GoesOn) => Ok(Next::GoOn),
            (Ended::Badly, Failing::Ends) => {
                Err(std::io::Error::other(format!("`{command}` failed: {said}")))
            }
        }
    }
}

fn clock() -> Timestamp {
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis());
    Timestamp(0) + Span(u64::try_from(millis).unwrap_or(0))
}

/// A script writes only below the directory it is performed in.
fn inside(path: &str) -> std::io::Result<PathBuf> {
    let path = Path::new(path);
    if path
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
    {
        Ok(path.to_owned())
    } else {
        Err(std::io::Error::other(format!(
            "`{}` lies outside the slot",
            path.display()
        )))
    }
}

/// A step that does something is announced, done, and its end told.
fn doing(what: &str, work: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
    print(&ScriptLine::ToolStarted {
        text: what.to_owned(),
    })?;
    let done = work();
    let ended = if done.is_ok() { Ended::Well } else { Ended::Badly };
    print(&ScriptLine::ToolEnded {
        text: what.to_owned(),
        ended,
    })?;
    done
}

/// A stubborn agent: asked to leave, it stays.
fn ignore_signals() {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    if let Err(errno) = mask.thread_block() {
        tracing::warn!(%errno, "signals cannot be blocked");
    }
}
