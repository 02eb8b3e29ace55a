//! `turno budget`: what each level may use, has used and has left; and another limit for one of them.

use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::event::Event;
use turno_core::ids::ShiftId;
use turno_core::ledger::{Day, LedgerView, Level, LevelView, Measure, Shortage, levels};
use turno_core::step::lacking;
use turno_core::units::MicroUsd;
use turno_engine::config::Overrides;
use turno_engine::run::now;

use crate::args::{Budget, Set};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Budget) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    match verb {
        Budget::Show { json } => {
            let levels = levels(&door.state().await?, now());
            if json {
                print::json(&levels)?;
            } else {
                show(&levels);
            }
        }
        Budget::Set(set) => {
            let state = door.state().await?;
            let event = asked(&state, set)?;
            let Event::BudgetSet { level, .. } = &event else {
                return Err(Failure::bug("a budget is set by another event"));
            };
            let level = level.clone();
            limit(scene, &mut door, event).await?;
            let state = door.state().await?;
            print::data(&format!("{} may use {}", level.phrase(), state.limit(&level)));
            if let Some(Shortage { left, least, .. }) = lacking(&state, &level) {
                print::warning(&format!(
                    "it still starts nothing: {left} left, an attempt starts with at least {least}; `{}` raises it",
                    level.raise(left.measure())
                ));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets a limit.
pub(super) async fn limit(scene: &Scene, door: &mut Door, event: Event) -> Result<(), Failure> {
    // The configuration that was read last is the one of the last shift; an agent may be new since then.
    if let Door::Own { desk, .. } = door
        && desk.state.config.is_none()
    {
        let config = Box::new(scene.config(&Overrides::default())?.core);
        desk.take(Event::ConfigLoaded { config })?;
    }
    door.take(event).await
}

fn asked(state: &State, set: Set) -> Result<Event, Failure> {
    let today = Day::of(now());
    let (level, limits) = match set {
        Set::Task { task, limits } => (Level::Task(task), limits),
        Set::Issue { issue, limits } => (Level::Issue(issue), limits),
        Set::Shift { shift, limits } => {
            let current = state.shift().map(|s| s.id);
            (Level::Shift(shift.or(current).ok_or(Refused::NoShift)?), limits)
        }
        Set::Day { day, limits } => (Level::Day(day.unwrap_or(today)), limits),
        Set::Agent { agent, limits } => (Level::Agent { agent, day: today }, limits),
    };
    Ok(Event::BudgetSet {
        level,
        allowance: limits.allowance(),
    })
}

fn show(levels: &[LevelView]) {
    if levels.is_empty() {
        print::note("nothing has been used and nothing is limited; `turno budget set` limits a level");
    }
    for view in levels {
        print::data(&print::bold(&view.level.phrase()));
        for measure in Measure::ALL {
            let line = format!("  {}", line(view, measure));
            let warned = view.warned.contains_key(&measure);
            print::data(&if warned { print::red(&line) } else { line });
        }
        if let Some(line) = unpriced_line(view) {
            print::data(&format!("  {line}"));
        }
        if view.compared.differ() {
            print::data(&format!(
                "  agents reported {}, Turno counted {} for the same attempts",
                view.compared.reported, view.compared.counted
            ));
        }
        // A task's own page is short enough.
        if !matches!(view.level, Level::Task(_) | Level::Agent { .. }) {
            let by = |name: String, used: String| print::data(&print::dim(&format!("    {name:<20} {used}")));
            for (persona, used) in &view.personas {
                by(persona.to_string(), used.to_string());
            }
            for (agent, used) in &view.agents {
                by(format!("agent {agent}"), used.to_string());
            }
        }
    }
}

/// The limits that are half used up and more, of whatever may still be used; and what is a guess in the shift that
/// runs.
pub(crate) fn warned_lines(ledger: &LedgerView, runs: Option<ShiftId>) -> Vec<String> {
    let warned = ledger.warnings.iter().filter_map(|warning| {
        let view = ledger.levels.iter().find(|v| v.level == warning.level)?;
        let line = line(view, warning.used.measure());
        Some(format!("{}: {line}", view.level.phrase()))
    });
    let runs = runs.map(Level::Shift);
    let shift = ledger.levels.iter().filter(|v| runs.as_ref() == Some(&v.level));
    let unpriced = shift.filter_map(|v| Some(format!("{}: {}", v.level.phrase(), unpriced_line(v)?)));
    warned.chain(unpriced).collect()
}

/// What of a level's money nobody has priced.
fn unpriced_line(view: &LevelView) -> Option<String> {
    let unknown = view.used.unknown;
    (unknown > MicroUsd::ZERO).then(|| {
        format!(
            "{unknown} of it is held for models without a price; give them one in turno.toml under [prices]"
        )
    })
}

/// One measure of a level on one line.
fn line(view: &LevelView, measure: Measure) -> String {
    let used = view.used.of(measure);
    match (view.limit.of(measure), view.left.of(measure)) {
        (Some(limit), Some(left)) => {
            let percent = view.limit.percent(measure, view.used).unwrap_or(0);
            format!("{used} of {limit} used ({percent} %), {left} neither used nor promised")
        }
        (None, _) | (_, None) => format!("{used} used, no limit"),
    }
}
