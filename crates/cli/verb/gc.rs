//! `turno gc`: says what may be removed to free space, and why; with `--yes` removes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use chrono::Utc;
use serde::Serialize;
use turno_core::ids::{RepoName, Seq};
use turno_core::retention::{
    Ages, Facts, History, Left, LeftWhy, OnlyCopies, Plan, Removal, Thing, Why, plan,
};
use turno_core::units::{Span, Timestamp};
use turno_engine::config::Overrides;
use turno_engine::gc;
use turno_engine::salvage::Strange;

use crate::args::Gc;
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

/// What was found and what became of it.
#[derive(Serialize)]
struct Shown<'a> {
    /// Whether anything was removed.
    removed: bool,
    bytes: u64,
    #[serde(flatten)]
    plan: &'a Plan,
    not_turnos: &'a [String],
    failed: &'a [Failed],
}

#[derive(Serialize)]
struct Failed {
    what: Thing,
    why: String,
}

pub(crate) async fn run(scene: &Scene, verb: &Gc) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    if verb.yes {
        may_remove(&door)?;
        super::preview::clear_leftovers(scene).await;
    }
    let config = scene.config(&Overrides::default())?;
    let repos = scene.repos(&config)?;
    let history = History::of(&door.records(Seq(0)).await?, &door.state().await?);
    let survey = gc::look(&repos, &scene.dirs).await?;
    let ages = verb.older_than.map_or(config.retention, |age| Ages {
        attempts: age,
        homes: age,
        salvage: age,
    });
    let facts = Facts {
        now: Timestamp(Utc::now().timestamp_millis()),
        ages,
        slots: config.core.slots,
        only_copies: if verb.salvage {
            OnlyCopies::GivenUp
        } else {
            OnlyCopies::Kept
        },
        history: &history,
    };
    let plan = plan(&facts, &survey.found);
    let strange: Vec<String> = survey.strange.iter().map(strange).collect();
    let failed = if verb.yes {
        let mut failed = Vec::new();
        for removal in &plan.removals {
            match gc::remove(&repos, &scene.dirs, &removal.what, removal.bytes).await {
                Ok(()) => print::note(&format!("removed {}", line(removal))),
                Err(error) => {
                    let why = error.to_string();
                    print::warning(&format!("{} is not removed whole: {why}", words(&removal.what)));
                    failed.push(Failed {
                        what: removal.what.clone(),
                        why,
                    });
                }
            }
        }
        failed
    } else {
        Vec::new()
    };
    let shown = Shown {
        removed: verb.yes,
        bytes: plan.removals.iter().map(|r| r.bytes).sum(),
        plan: &plan,
        not_turnos: &strange,
        failed: &failed,
    };
    if verb.json {
        print::json(&shown)?;
    } else {
        show(&shown);
    }
    Ok(ExitCode::from(if failed.is_empty() {
        exit::OK
    } else {
        exit::NEEDS_PERSON
    }))
}

/// Whoever runs needs what is there.
fn may_remove(door: &Door) -> Result<(), Failure> {
    match door {
        Door::Own { .. } => Ok(()),
        Door::Live(_) => Err(Failure::cannot_start(
            "a coordinator works on this workspace, so nothing is removed; `turno stop` ends it, and without --yes \
             you are told what would go",
        )),
        Door::Look { why, .. } => Err(Failure::cannot_start(why.clone())),
    }
}

fn strange(one: &Strange) -> String {
    match one {
        Strange::Ref(_, name) => print::name(Path::new(name)),
        Strange::Path(path) => print::name(path),
    }
}

fn show(shown: &Shown<'_>) {
    if !shown.removed {
        for removal in &shown.plan.removals {
            print::data(&line(removal));
        }
    }
    for left in &shown.plan.left {
        if left.why == LeftWhy::OnlyCopy {
            print::note(&format!(
                "{} stays: it is the only copy of work; --salvage gives it up",
                sized(&left.what, left.bytes)
            ));
        }
    }
    let mut kept: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for left in &shown.plan.left {
        if let Some(why) = kept_for(left) {
            let (count, bytes) = kept.entry(why).or_default();
            (*count, *bytes) = (*count + 1, *bytes + left.bytes);
        }
    }
    for (why, (count, bytes)) in kept {
        print::note(&format!("{count} thing(s), {}, stay: {why}", print::size(bytes)));
    }
    for name in shown.plan.unknown.iter().chain(shown.not_turnos) {
        print::note(&format!("{name} is not Turno's; it is left alone"));
    }
    let (count, size) = (
        shown.plan.removals.len() - shown.failed.len(),
        print::size(shown.bytes),
    );
    print::data(&match (count, shown.removed) {
        (0, _) => "nothing to remove".to_owned(),
        (_, true) => format!("{count} thing(s) are removed, {size}"),
        (_, false) => format!("{count} thing(s) may go, {size}; `turno gc --yes` removes them"),
    });
    let commits = |r: &Removal| matches!(r.what, Thing::Commit { .. });
    if shown.plan.removals.iter().any(commits) {
        print::note("the space of commits comes back when git next collects what nothing leads to");
    }
}

/// Why something stays for now, for the sums.
fn kept_for(left: &Left) -> Option<&'static str> {
    match left.why {
        LeftWhy::Runs => Some("they are in use"),
        LeftWhy::NotOver { .. } => Some("their issues are not over"),
        LeftWhy::TooYoung { .. } => Some("they are not old enough"),
        LeftWhy::OnlyCopy => None,
    }
}

fn line(removal: &Removal) -> String {
    let why = match removal.why {
        Why::IssueOver { issue, ago } => format!("issue {issue} has been over for {}", long(ago)),
        Why::Landed { age } => format!("it is on a branch, and {} old", long(age)),
        Why::GivenUp { age } => format!("you gave it up; it is {} old", long(age)),
        Why::TooManySlots { slots } => format!("there are {slots} slot(s) now"),
        Why::Ended => "its attempt has ended".to_owned(),
    };
    format!("{}: {why}", sized(&removal.what, removal.bytes))
}

fn sized(what: &Thing, bytes: u64) -> String {
    format!("{}, {}", words(what), print::size(bytes))
}

fn words(what: &Thing) -> String {
    let of = |repo: &RepoName| {
        if *repo == RepoName::default() {
            String::new()
        } else {
            format!("{repo}:")
        }
    };
    match what {
        Thing::Attempt { attempt } => format!("attempt {attempt}"),
        Thing::Home(home) => format!("home {}", home.dir()),
        Thing::Commit { repo, name } => format!("salvage {}{name}", of(repo)),
        Thing::Aside { repo, name } => format!("salvage {}aside/{name}", of(repo)),
        Thing::Slot { repo, slot } => format!("slot {}{slot}", of(repo)),
        Thing::Socket { attempt } => format!("socket {attempt}.net"),
    }
}

/// A length of time in days where it is that long.
fn long(span: Span) -> String {
    const DAY: u64 = 86_400_000;
    if span.0 >= DAY {
        format!("{} d", span.0 / DAY)
    } else {
        print::elapsed(span)
    }
}
