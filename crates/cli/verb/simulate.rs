//! `turno simulate`: what a shift would land, cost and take, on simulated agents. It reads the configuration and the
//! journal, and changes nothing.

mod words;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{Local, Utc};
use serde::Serialize;
use turno_core::State;
use turno_core::check::{Check, Reach};
use turno_core::container::Within;
use turno_core::ids::SlotId;
use turno_core::shift::Scope;
use turno_core::units::{Span, Timestamp};
use turno_engine::config::{self, Loaded, Overrides, Places};
use turno_engine::git::{Error as GitError, Repo};
use turno_engine::simulate::{
    self, Backlog, Evidence, Fit, Forecast, Job, Lane, Learner, Model, PlanSplit, Terms, used_by_day,
};

use super::drain;
use crate::args::{History, Simulate};
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::picture::{self, Clock, Gantt, Paint, Row, Went};
use crate::print;
use crate::scene::{Scene, user_env};

/// So many issues where nobody said how many and there is no backlog.
const SOME_ISSUES: u32 = 10;
/// The numbers of slots are compared on so many nights at most: they are only to be told apart.
const NIGHTS_TO_COMPARE: usize = 400;

/// What is printed as JSON.
#[derive(Serialize)]
struct Told<'a> {
    policy: &'a str,
    forecast: &'a Forecast,
    slots: &'a [Forecast],
    /// The finished shifts that were learned from.
    learned_from: usize,
    evidence: &'a [Evidence],
    assumed: &'a [String],
}

/// What a forecast is made of.
struct Ground {
    config: Loaded,
    repo: Option<PathBuf>,
    past: Option<Past>,
    notes: Vec<String>,
}

/// What a workspace has done.
struct Past {
    state: State,
    /// What its journal shows, if anybody asked.
    learner: Option<Learner>,
}

pub(crate) async fn run(at: Option<&Path>, verb: &Simulate) -> Result<ExitCode, Failure> {
    if let Some(path) = &verb.output
        && path.extension().is_none_or(|e| e != "svg")
    {
        return Err(Failure::usage(format!(
            "-o {}: a picture is written as SVG; name a file that ends in .svg",
            path.display()
        )));
    }
    let mut ground = ground(at, verb).await?;
    let own = ground.repo.as_ref().map(|r| r.join(".turno/simulate.toml"));
    let over = verb.assume.clone().or(own.filter(|p| p.is_file()));
    let fitted = learned(verb, &mut ground, Model::assumed(over.as_deref())?)?;
    let mut model = fitted.model;
    if let Some(tasks) = verb.tasks_per_issue {
        model.split = PlanSplit::Between(tasks.least, tasks.most);
    }
    let begins = Timestamp(Utc::now().timestamp_millis());
    let terms = Terms {
        budget: verb.budget.unwrap_or(ground.config.budget.shift),
        scope: scope(verb, begins)?,
        seed: verb.seed,
        begins,
    };
    let backlog = backlog(verb, &mut ground);
    let job = Job::new(ground.config.core.clone(), backlog, &model.split, terms)?;
    let forecast = simulate::simulate(&job, &model, verb.nights)?;
    let mut compared = Vec::new();
    if let Some(most) = verb.compare_slots {
        let nights = verb
            .nights
            .min(std::num::NonZeroUsize::MIN.saturating_add(NIGHTS_TO_COMPARE - 1));
        for slots in 1..=most {
            compared.push(simulate::simulate(&job.on_slots(slots), &model, nights)?);
        }
    }
    let mut notes = std::mem::take(&mut ground.notes);
    notes.extend(words::assumptions(
        &ground.config.core,
        &model,
        fitted.shifts,
        &fitted.evidence,
        over.as_deref(),
    ));
    if let Some(path) = &verb.output {
        draw(path, &forecast)?;
    }
    if verb.json {
        print::json(&Told {
            policy: verb.policy.as_str(),
            forecast: &forecast,
            slots: &compared,
            learned_from: fitted.shifts,
            evidence: &fitted.evidence,
            assumed: &notes,
        })?;
    } else {
        let mut lines = words::forecast(&ground.config.core, &forecast, begins);
        lines.extend(words::slots(&compared));
        if !forecast.middle.is_empty() {
            lines.push(String::new());
            lines.push("The night in the middle:".to_owned());
            lines.extend(picture::text::gantt(&middle(&forecast), words::WIDTH));
        }
        lines.push(String::new());
        lines.push("What this rests on:".to_owned());
        lines.extend(
            notes
                .iter()
                .map(|n| format!("  - {}", print::folded(n, Some(words::WIDTH), 4))),
        );
        for line in lines {
            print::data(&line);
        }
    }
    Ok(ExitCode::from(exit::OK))
}

/// The configuration and the past of where this was typed; outside of every repository, what is built in.
async fn ground(at: Option<&Path>, verb: &Simulate) -> Result<Ground, Failure> {
    let flags = Overrides {
        slots: verb.slots,
        policy: Some(verb.policy.clone()),
        ..Overrides::default()
    };
    let here = match at {
        Some(directory) => directory.to_owned(),
        None => std::env::current_dir()?,
    };
    if let Err(GitError::NotARepository { .. }) = Repo::open(&here) {
        return nowhere(here, &flags);
    }
    let scene = Scene::at(at)?;
    let config = scene.config(&flags)?;
    let mut notes = Vec::new();
    // Nothing is made where nothing is: who only asks leaves no trace.
    let past = if scene.dirs.store().exists() {
        let mut door = Door::open(&scene).await?;
        let state = door.state().await?;
        let mut learner = verb.history.map(learner);
        if let Some(learner) = &mut learner {
            door.each_record(|record| learner.take(record)).await?;
        }
        Some(Past { state, learner })
    } else {
        None
    };
    if config.core.checks.is_empty() {
        notes.push(
            "this project has no checks, so nothing can be proven and nothing lands; name some in turno.toml"
                .to_owned(),
        );
    }
    Ok(Ground {
        config,
        repo: Some(scene.repo.root().to_owned()),
        past,
        notes,
    })
}

fn nowhere(here: PathBuf, flags: &Overrides) -> Result<Ground, Failure> {
    let env = user_env();
    let places = Places {
        repo: here,
        user: config::env::user_dir(&env),
    };
    let mut config = config::load(&places, &env, flags)?;
    let mut notes =
        vec!["this is no repository: the built-in configuration is simulated, and yours".to_owned()];
    if config.core.checks.is_empty() {
        config.core.checks.push(Check {
            name: "checks".parse()?,
            command: "true".to_owned(),
            timeout: Span::seconds(1800),
            network: Reach::None,
            within: Within::Sandbox,
        });
        notes.push("the project is taken to have one check".to_owned());
    }
    Ok(Ground {
        config,
        repo: None,
        past: None,
        notes,
    })
}

fn learner(history: History) -> Learner {
    Learner::of(match history {
        History::All => None,
        History::Of(shift) => Some(shift),
    })
}

/// What the past shows, if anybody asked.
fn learned(verb: &Simulate, ground: &mut Ground, assumed: Model) -> Result<Fit, Failure> {
    let Some(history) = verb.history else {
        return Ok(Fit {
            model: assumed,
            shifts: 0,
            evidence: Vec::new(),
        });
    };
    let past = ground.past.as_mut();
    let seen = past
        .and_then(|p| p.learner.take())
        .unwrap_or_else(|| learner(history));
    let personas = &ground.config.core.personas;
    let roles: Vec<_> = personas.iter().map(|p| (p.name.clone(), p.role)).collect();
    let fitted = seen.fit(assumed, &roles);
    if fitted.shifts == 0 {
        return Err(Failure::usage(match history {
            History::All => {
                "--history all: no shift of this workspace is over yet; leave it out to go by what is assumed"
                    .to_owned()
            }
            History::Of(shift) => format!(
                "--history {shift}: there is no such shift in this workspace, or it is not over; `turno log` shows which there were"
            ),
        }));
    }
    Ok(fitted)
}

fn backlog(verb: &Simulate, ground: &mut Ground) -> Backlog {
    let is_open = |p: &Past| {
        use turno_core::issue::IssueStage;
        let open = |stage: &IssueStage| matches!(stage, IssueStage::Backlog | IssueStage::Working { .. });
        p.state.issues.values().any(|i| open(&i.stage))
    };
    match (verb.issues, &ground.past) {
        (Some(many), past) => {
            let used = past.as_ref().map_or_else(Vec::new, |p| used_by_day(&p.state));
            ground.notes.push(format!(
                "{many} made-up issues, all alike, none of which needs another"
            ));
            Backlog::MadeUp { issues: many, used }
        }
        (None, Some(past)) if is_open(past) => {
            ground.notes.push(
                "the open issues of this workspace, with their priorities and what they need".to_owned(),
            );
            Backlog::Of(Box::new(past.state.clone()))
        }
        (None, past) => {
            let used = past.as_ref().map_or_else(Vec::new, |p| used_by_day(&p.state));
            ground.notes.push(format!(
                "there is no open issue here, so {SOME_ISSUES} made-up ones; --issues N takes another number"
            ));
            Backlog::MadeUp {
                issues: SOME_ISSUES,
                used,
            }
        }
    }
}

/// A policy of the verb that works on the backlog takes up issues as slots are free; every other one begins all.
fn scope(verb: &Simulate, begins: Timestamp) -> Result<Scope, Failure> {
    let until = match &verb.until {
        Some(text) => Some(drain::time(text, Local::now())?),
        None => None,
    };
    if until.is_some_and(|u| u <= begins) {
        return Err(Failure::usage("--until: that time is over"));
    }
    Ok(if verb.policy.as_str() == "drain" || until.is_some() {
        Scope::Backlog { at_most: None, until }
    } else {
        Scope::Listed
    })
}

/// The night in the middle, as a picture takes it.
fn middle(forecast: &Forecast) -> Gantt {
    let at = |after: Span| Timestamp(0) + after;
    let row = |label: String, lane: Lane| Row {
        label,
        bars: forecast
            .middle
            .iter()
            .filter(|b| b.slot == lane)
            .map(|b| bar(at(b.from), at(b.to), b))
            .collect(),
    };
    let slots = (1..=forecast.slots).map(|n| row(format!("s{n}"), Lane::Slot(SlotId(n))));
    Gantt {
        clock: Clock::SinceStart,
        from: Timestamp(0),
        to: forecast
            .middle
            .iter()
            .map(|b| at(b.to))
            .max()
            .unwrap_or(Timestamp(1)),
        rows: slots.chain([row("landing".to_owned(), Lane::Landing)]).collect(),
        queue: Vec::new(),
    }
}

fn bar(from: Timestamp, to: Timestamp, bar: &simulate::Bar) -> picture::Bar {
    let paint = Paint::of(bar.kind);
    picture::Bar {
        from,
        to,
        paint,
        went: Went::Well,
        label: bar.task.to_string(),
        title: format!(
            "{} {}, {} to {}",
            paint.word(),
            bar.task,
            print::elapsed(bar.from),
            print::elapsed(bar.to)
        ),
        pauses: Vec::new(),
    }
}

fn draw(path: &Path, forecast: &Forecast) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    file.and_then(|mut file| file.write_all(picture::svg::file(&middle(forecast)).as_bytes()))
        .map_err(|e| Failure::usage(format!("{} cannot be written: {e}", path.display())))
}
