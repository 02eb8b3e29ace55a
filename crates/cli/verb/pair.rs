//! `turno pair "TASK"`: one task, a writer and a reviewer, bounded rounds; with `--tests-first` a tester begins.

use std::process::ExitCode;

use turno_core::failure::Cause;
use turno_core::issue::IssueDraft;
use turno_core::policy::TestRule;

use super::issue;
use super::run::{Wanted, file, prepare, shift};
use crate::args::Pair;
use crate::failure::Failure;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Pair) -> Result<ExitCode, Failure> {
    let (mut config, show) = prepare(scene, &verb.shift, Some("pair"))?;
    let policy = &mut config.core.policy;
    if verb.tests_first {
        policy.tests = TestRule::First;
    }
    if let Some(rounds) = verb.rounds {
        let mut row = policy.row(Cause::Findings);
        row.tries = rounds;
        policy.rows.insert(Cause::Findings, row);
    }
    let draft = IssueDraft {
        title: verb.task,
        body: issue::body(verb.body)?.unwrap_or_default(),
        acceptance: verb.acceptance,
        ..IssueDraft::default()
    };
    let issues = file(scene, vec![draft]).await?;
    shift(scene, config, Wanted::listed(issues), show).await
}
