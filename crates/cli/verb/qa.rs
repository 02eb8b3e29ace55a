//! `turno qa [CHECK...]`: runs the checks, gives each failure to an engineer, until they are green or it is stuck.

use std::collections::BTreeSet;
use std::process::ExitCode;

use turno_core::issue::{IssueDraft, Split};

use super::run::{Wanted, file, prepare, shift};
use crate::args::Qa;
use crate::failure::Failure;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Qa) -> Result<ExitCode, Failure> {
    let (config, show) = prepare(scene, &verb.shift, Some("qa-repair"))?;
    let repo = verb.repo.unwrap_or_default();
    let known = config.core.checks_of(&repo);
    if let Some(unknown) = verb.checks.iter().find(|c| !known.iter().any(|k| k.name == **c)) {
        let names: Vec<&str> = known.iter().map(|k| k.name.as_str()).collect();
        return Err(Failure::usage(format!(
            "there is no check `{unknown}`; turno.toml has: {}",
            names.join(", ")
        )));
    }
    let checks: BTreeSet<_> = verb.checks.into_iter().collect();
    let what = if checks.is_empty() {
        "all checks".to_owned()
    } else {
        let names: Vec<&str> = checks.iter().map(turno_core::ids::CheckName::as_str).collect();
        names.join(", ")
    };
    let draft = IssueDraft {
        title: format!("Repair: make {what} green"),
        body: "The project's own checks say what is broken. Mend the cause; weakening a check is no repair."
            .to_owned(),
        repo,
        split: Split::Checks(checks),
        ..IssueDraft::default()
    };
    let issues = file(scene, vec![draft]).await?;
    shift(scene, config, Wanted::listed(issues), show).await
}
