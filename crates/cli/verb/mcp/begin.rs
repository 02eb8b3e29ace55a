//! Owns the beginning of a shift in the background: a `turno run` of its own, which goes on when this server ends.
//! It waits until the shift runs, or says why there is none.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use turno_core::State;
use turno_core::admit::Refused;
use turno_core::ids::{IssueId, PolicyName, ShiftId};
use turno_core::shift::ShiftStage;
use turno_core::units::MicroUsd;
use turno_engine::process::detached::{Detached, Start};

use super::acts::Told;
use super::words::Run;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::run::own_program;

/// A shift begins within this time: the agents and the sandbox are tried before it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// So much of what a run said is told when it did not begin, in bytes.
const TAIL: usize = 4000;

pub(super) async fn run(scene: &Scene, asked: &Run) -> Result<Told, Failure> {
    let budget = budget(asked.budget_usd)?;
    let policy: Option<PolicyName> = match asked.policy.as_str() {
        "" => None,
        name => Some(name.parse()?),
    };
    if asked.issues.is_empty() {
        return Err(Failure::usage("`issues` is empty: name the issues to work on"));
    }
    let before = {
        let (door, state) = Door::look_in(scene).await?;
        if let (Some(shift), Door::Live(_)) = (state.shift(), &door) {
            return Err(Refused::ShiftRuns(shift.id).into());
        }
        for id in asked.issues.iter().copied().map(IssueId) {
            state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
        }
        Began::of(&state)
    };
    let said = scene.dirs.root().join("background.log");
    let mut args: Vec<OsString> = vec!["-C".into(), scene.repo.root().into(), "run".into()];
    args.extend(asked.issues.iter().map(|id| id.to_string().into()));
    args.extend(["--budget".into(), dollars(budget).into()]);
    if let Some(policy) = policy {
        args.extend(["--policy".into(), policy.as_str().into()]);
    }
    let mut process = Start {
        program: &own_program()?,
        args,
        cwd: scene.repo.root(),
        env: &scene.env,
        said: &said,
    }
    .detach()
    .map_err(|e| Failure::cannot_start(e.to_string()))?;
    begins(scene, &before, &mut process, &said).await
}

/// What had begun before.
#[derive(PartialEq, Eq)]
struct Began {
    last: Option<ShiftId>,
}

impl Began {
    fn of(state: &State) -> Self {
        Self {
            // One that was left by a coordinator that died may be gone on with, by the same id.
            last: match state.shift() {
                Some(_) => None,
                None => state.shifts.keys().next_back().copied(),
            },
        }
    }

    /// The shift that has begun since.
    fn since(&self, state: &State) -> Option<(ShiftId, ShiftStage)> {
        let shift = state.shifts.values().next_back()?;
        (self.last != Some(shift.id)).then(|| (shift.id, shift.stage.clone()))
    }
}

async fn begins(scene: &Scene, before: &Began, process: &mut Detached, said: &Path) -> Result<Told, Failure> {
    let begun = Instant::now();
    loop {
        let over = process.is_over();
        // A run that has not opened its door yet must find the lock free: it is looked at without one.
        if over || scene.dirs.socket().exists() {
            let (door, state) = Door::look_in(scene).await?;
            let runs = matches!(door, Door::Live(_));
            if let Some((shift, stage)) = before.since(&state).filter(|_| over || runs) {
                let is_over = matches!(stage, ShiftStage::Ended { .. });
                return Ok(Told::Data(json!({
                    "shift": shift.to_string(),
                    "is": if is_over { "over already: see `report`" } else { "running: see `status`" },
                    "says": said,
                })));
            }
        }
        if over {
            return Err(Failure::cannot_start(format!(
                "no shift was begun: {}",
                tail(said)
            )));
        }
        if begun.elapsed() > PATIENCE {
            let (seconds, said) = (PATIENCE.as_secs(), said.display());
            return Err(Failure::cannot_start(format!(
                "no shift has begun within {seconds} s; it may begin yet: see `status`, and {said}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A budget as it is typed: a sum of more than nothing.
fn budget(usd: f64) -> Result<MicroUsd, Failure> {
    let sum: MicroUsd = usd.to_string().parse()?;
    if sum == MicroUsd::ZERO {
        return Err(Failure::usage(
            "a budget of nothing starts nothing: name a sum in US dollars",
        ));
    }
    Ok(sum)
}

fn dollars(sum: MicroUsd) -> String {
    format!("{}.{:06}", sum.0 / 1_000_000, sum.0 % 1_000_000)
}

/// The end of what a run said.
fn tail(said: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(said).unwrap_or_default()).into_owned();
    let text = print::harmless(text.trim());
    let from = (text.len().saturating_sub(TAIL)..=text.len()).find(|at| text.is_char_boundary(*at));
    text.get(from.unwrap_or(0)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_sum_of_money() {
        let typed = |usd| budget(usd).map(dollars).map_err(|e| e.to_string());
        assert_eq!(typed(2.5).unwrap(), "2.500000");
        assert_eq!(typed(0.000_001).unwrap(), "0.000001");
        for wrong in [0.0, -1.0, 1e300, 0.000_000_1, f64::NAN, f64::INFINITY] {
            assert!(typed(wrong).is_err(), "{wrong}");
        }
    }
}
