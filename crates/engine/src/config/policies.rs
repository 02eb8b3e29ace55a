//! Owns policy files: reads them as the core's typed policies. What a policy does is the core's.

use std::collections::BTreeMap;

use turno_core::failure::Cause;
use turno_core::globs;
use turno_core::guard::{GuardKind, GuardRule};
use turno_core::ids::PolicyName;
use turno_core::policy::{
    AcceptRule, AccountRule, Charge, ClashRule, DecisionRule, FollowRule, Jitter, LandingRule, NewTestsRule,
    Nobody, OverlapRule, PlanCaps, PlanRule, Policy, RedBaseRule, ReviewRule, TestRule, Then, TrialRule,
    TryRow, UncheckedRule,
};
use turno_core::units::Span;

use crate::config::error::{Error, Meant, Place};
use crate::config::file::{Usd, Whole};
use crate::config::layer::Layers;
use crate::config::schema::POLICY;
use crate::config::source::{Layer, TextFile};

/// The policy that lends others what they leave out.
const PATTERN: &str = "feature-dev";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    description: String,
    review: ReviewRule,
    unchecked: UncheckedRule,
    check_reruns: Whole,
    silence: Span,
    silence_hard: Option<Span>,
    longest_command: Span,
    no_progress: Span,
    least_start_usd: Usd,
    longest_wait: Span,
    plan: PlanRule,
    caps: CapsFile,
    tests: TestRule,
    new_tests: NewTestsRule,
    test_paths: Vec<String>,
    protected: Vec<String>,
    guards: BTreeMap<String, GuardRule>,
    big_file_bytes: i64,
    accept: AcceptRule,
    overlap: OverlapRule,
    decisions: DecisionsFile,
    trial: TrialRule,
    landing: LandingFile,
    red_base: RedBaseRule,
    accounts: AccountsFile,
    rows: BTreeMap<String, RowFile>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LandingFile {
    batch: Whole,
    follow: FollowRule,
    clashes: ClashRule,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CapsFile {
    tasks: Whole,
    depth: Whole,
    rounds: Whole,
    repairs: Whole,
    failures: Whole,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountsFile {
    failing_starts: Whole,
    within: Span,
    wait: Span,
    rounds: Whole,
    pace: Span,
    ease: Span,
    longest_quota_wait: Span,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionsFile {
    nobody: Nobody,
    deadline: Span,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFile {
    tries: Whole,
    wait: Span,
    jitter: Option<Jitter>,
    charge: Option<Charge>,
    then: Option<Then>,
}

/// Reads policies. Files of one name are laid over each other, the embedded one of that name first where there is
/// one, and under each lies the embedded `feature-dev`, so a file need only say what is different.
pub(super) fn read(files: &[TextFile]) -> Result<BTreeMap<PolicyName, Policy>, Error> {
    let mut policies = BTreeMap::new();
    for (name, layers) in layered(files)? {
        let policy = policy(name.clone(), &layers)?;
        policies.insert(name, policy);
    }
    Ok(policies)
}

/// The same before it is made sense of: each value of each policy, and where it came from.
pub(super) fn layered(files: &[TextFile]) -> Result<BTreeMap<PolicyName, Layers>, Error> {
    let mut names: Vec<&str> = files.iter().map(TextFile::stem).collect();
    names.sort_unstable();
    names.dedup();
    let mut policies = BTreeMap::new();
    for stem in names {
        let own = || files.iter().filter(|f| f.stem() == stem);
        let place = |line| Place {
            file: own().next_back().map(|f| f.name.clone()).unwrap_or_default(),
            line,
        };
        if stem == "prices" {
            return Err(Error::File {
                place: place(0),
                why: "`prices` cannot be a policy; prices are written in turno.toml, as [prices.\"MODEL\"]"
                    .to_owned(),
            });
        }
        let name: PolicyName = stem.parse().map_err(|e| Error::File {
            place: place(0),
            why: format!("the file's name is the policy's name, and {e}"),
        })?;
        let mut layers = Layers::new(POLICY);
        let pattern = files
            .iter()
            .filter(|f| f.stem() == PATTERN && f.layer == Layer::Embedded);
        for file in pattern.filter(|_| stem != PATTERN).chain(own()) {
            layers.add_file(file)?;
        }
        policies.insert(name, layers);
    }
    Ok(policies)
}

fn policy(name: PolicyName, layers: &Layers) -> Result<Policy, Error> {
    let file: PolicyFile = layers.typed()?;
    let small = |n: &Whole, path: &[&str]| {
        u8::try_from(n.0).map_err(|_| layers.wrong(path, "at most 255 is possible"))
    };
    sense(&file, layers)?;
    let mut rows = BTreeMap::new();
    for (cause, row) in &file.rows {
        let path = ["rows", cause.as_str()];
        let known = Cause::ALL
            .into_iter()
            .find(|c| cause_name(*c) == *cause)
            .ok_or_else(|| {
                let meant = Meant::among(cause, Cause::ALL.map(cause_name));
                layers.wrong(&path, format!("`{cause}` is not a cause; {meant}"))
            })?;
        let tries = small(&row.tries, &["rows", cause, "tries"])?;
        if row.charge == Some(Charge::Account) && !Charge::may_be_an_accounts(known) {
            let why = "no agent's account is to blame for it; set it to \"task\"";
            return Err(layers.wrong(&["rows", cause, "charge"], why));
        }
        let usual = TryRow::new(known, tries, row.wait);
        rows.insert(
            known,
            TryRow {
                jitter: row.jitter.unwrap_or(usual.jitter),
                charge: row.charge.unwrap_or(usual.charge),
                then: row.then.unwrap_or(usual.then),
                ..usual
            },
        );
    }
    let mut guards = BTreeMap::new();
    for (name, rule) in &file.guards {
        let kind = GuardKind::ALL
            .into_iter()
            .find(|k| k.name() == name)
            .ok_or_else(|| {
                let meant = Meant::among(name, GuardKind::ALL.map(|k| k.name().to_owned()));
                layers.wrong(
                    &["guards", name],
                    format!("`{name}` is no kind of finding; {meant}"),
                )
            })?;
        guards.insert(kind, *rule);
    }
    let silence_hard = hard(&file);
    Ok(Policy {
        description: file.description,
        review: file.review,
        unchecked: file.unchecked,
        check_reruns: small(&file.check_reruns, &["check_reruns"])?,
        silence: file.silence,
        silence_hard,
        longest_command: file.longest_command,
        no_progress: file.no_progress,
        least_start: file.least_start_usd.0,
        longest_wait: file.longest_wait,
        plan: file.plan,
        caps: PlanCaps {
            tasks: file.caps.tasks.0,
            depth: small(&file.caps.depth, &["caps", "depth"])?,
            rounds: small(&file.caps.rounds, &["caps", "rounds"])?,
            repairs: small(&file.caps.repairs, &["caps", "repairs"])?,
            failures: file.caps.failures.0,
        },
        tests: file.tests,
        new_tests: file.new_tests,
        test_paths: file.test_paths,
        protected: file.protected,
        guards,
        big_file: u64::try_from(file.big_file_bytes).map_err(|_| {
            layers.wrong(
                &["big_file_bytes"],
                "a number of bytes is expected; set it to 1048576",
            )
        })?,
        accept: file.accept,
        overlap: file.overlap,
        decisions: DecisionRule {
            nobody: file.decisions.nobody,
            deadline: file.decisions.deadline,
        },
        trial: file.trial,
        red_base: file.red_base,
        landing: LandingRule {
            batch: small(&file.landing.batch, &["landing", "batch"])?,
            follow: file.landing.follow,
            clashes: file.landing.clashes,
        },
        accounts: AccountRule {
            failing_starts: small(&file.accounts.failing_starts, &["accounts", "failing_starts"])?,
            within: file.accounts.within,
            wait: file.accounts.wait,
            rounds: small(&file.accounts.rounds, &["accounts", "rounds"])?,
            pace: file.accounts.pace,
            ease: file.accounts.ease,
            longest_quota_wait: file.accounts.longest_quota_wait,
        },
        rows,
        name,
    })
}

/// When a quiet agent is stopped: twice as late as it is reminded, where nothing is written.
fn hard(file: &PolicyFile) -> Span {
    file.silence_hard.unwrap_or(file.silence.doubled(1))
}

/// Whether the values make sense together.
fn sense(file: &PolicyFile, layers: &Layers) -> Result<(), Error> {
    if file.silence == Span(0) {
        return Err(layers.wrong(&["silence"], "an agent needs some time; set it to 15m"));
    }
    if hard(file) < file.silence {
        let why = format!(
            "it is stopped before it is reminded, after {}; leave it out for twice that",
            file.silence
        );
        return Err(layers.wrong(&["silence_hard"], why));
    }
    let limits = [
        ("longest_command", file.longest_command),
        ("no_progress", file.no_progress),
    ];
    if let Some((key, _)) = limits.iter().find(|(_, span)| *span == Span(0)) {
        return Err(layers.wrong(&[key], "an agent needs some time; set it to 1h"));
    }
    if file.decisions.deadline == Span(0) {
        let why = "an answer needs some time; set it to 10m, or set nobody = \"park\"";
        return Err(layers.wrong(&["decisions", "deadline"], why));
    }
    if file.landing.batch.0 == 0 {
        let why = "at least one change lands at a time; set it to 1 to land them one by one";
        return Err(layers.wrong(&["landing", "batch"], why));
    }
    if file.caps.tasks.0 == 0 {
        return Err(layers.wrong(&["caps", "tasks"], "an issue needs at least 1 task; set it to 20"));
    }
    if file.caps.failures.0 == 0 {
        let why = "an issue needs room for some failures; set it to 100";
        return Err(layers.wrong(&["caps", "failures"], why));
    }
    if file.accounts.failing_starts.0 == 0 {
        let why = "at least one start must be tried; set it to 3";
        return Err(layers.wrong(&["accounts", "failing_starts"], why));
    }
    for (key, globs) in [("test_paths", &file.test_paths), ("protected", &file.protected)] {
        for glob in globs {
            globs::check(glob).map_err(|why| layers.wrong(&[key], why))?;
        }
    }
    if file.guards.get(GuardKind::Unseen.name()) == Some(&GuardRule::Allow) {
        let why = "what could not be looked at must not count as clean; set it to \"reviewer\"";
        return Err(layers.wrong(&["guards", GuardKind::Unseen.name()], why));
    }
    if file.tests != TestRule::Off && file.test_paths.is_empty() {
        let why = "a tester writes only what test_paths names, and it names nothing; set test_paths = [\"tests/**\"]";
        return Err(layers.wrong(&["tests"], why));
    }
    Ok(())
}

/// A cause's name in files: the one it has on disk and on the wire.
pub fn cause_name(cause: Cause) -> String {
    match serde_json::to_value(cause) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => format!("{cause:?}"),
    }
}
