//! Owns checks: the project's own commands, and what a run of them showed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::container::Within;
use crate::ids::{AttemptId, CheckName, CommitId, TreeId};
use crate::units::Span;

/// A command of the project that Turno itself runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: CheckName,
    /// The shell command, run at the top of the slot.
    pub command: String,
    /// Limit for the whole process tree.
    pub timeout: Span,
    /// What it reaches of the network.
    #[serde(default)]
    pub network: Reach,
    /// What it is run in.
    #[serde(default, skip_serializing_if = "Within::is_sandbox")]
    pub within: Within,
}

impl Check {
    /// The command, as it is told to who may run it; with the image it needs, as a comment of the shell.
    pub fn told(&self) -> String {
        match &self.within {
            Within::Sandbox => self.command.clone(),
            Within::Container(container) => {
                format!("{}  # in a container of {}", self.command, container.image)
            }
        }
    }
}

/// What a program of the project reaches of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// A loopback of its own and nothing else.
    #[default]
    None,
    /// The hosts that the configuration names.
    Hosts,
    /// All that the user reaches.
    Open,
}

/// Where a long output lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRef {
    /// Path below the state directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// What one check showed at one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// Exit code 0.
    Pass,
    /// A red run, then a green one at the same tree. It counts as a pass and is reported.
    Flaky,
    /// Any other end, also the time limit: the writer can do something about it.
    Fail {
        /// The useful part of the output, for the writer.
        extract: String,
    },
    /// It says nothing about the change: it could not be started, was stopped, or a program it needs is missing.
    CouldNotRun {
        /// Why.
        why: String,
    },
}

/// One check's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Which check.
    pub check: CheckName,
    /// The command that was run.
    #[serde(default)]
    pub command: String,
    /// What it was run in.
    #[serde(default, skip_serializing_if = "Within::is_sandbox")]
    pub within: Within,
    /// What it showed.
    pub verdict: CheckVerdict,
    /// How long it took.
    pub took: Span,
    /// Its whole output.
    pub log: LogRef,
    /// Whether it was run for this.
    #[serde(default)]
    pub source: Source,
}

/// Where a result comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The check was run.
    #[default]
    Run,
    /// It was run before, on the same files in the same environment, and not again.
    Known {
        /// By this attempt.
        by: AttemptId,
    },
    /// It was run, to see whether what was known still holds: it does not, though nothing that could be told has
    /// changed.
    Differs {
        /// From what this attempt saw.
        by: AttemptId,
    },
}

/// What a run of all checks showed at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The commit they ran at.
    pub commit: CommitId,
    /// Its tree: what the verdict is bound to.
    pub tree: TreeId,
    /// One result for each check, in the configured order.
    pub results: Vec<CheckResult>,
}

/// The sum of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportVerdict {
    /// Every check passed (flaky ones count).
    Green,
    /// At least one failed.
    Red,
    /// None failed, but at least one could not be run, or there was none.
    Unknown,
}

impl CheckReport {
    /// Green only if there is at least one result and every one passed.
    pub fn verdict(&self) -> ReportVerdict {
        self.verdict_despite(&BTreeSet::new())
    }

    /// The same, where some checks are known to be red for other reasons: their results do not count.
    pub fn verdict_despite(&self, known_red: &BTreeSet<CheckName>) -> ReportVerdict {
        let mut verdict = if self.results.is_empty() {
            ReportVerdict::Unknown
        } else {
            ReportVerdict::Green
        };
        for result in self.results.iter().filter(|r| !known_red.contains(&r.check)) {
            match result.verdict {
                CheckVerdict::Pass | CheckVerdict::Flaky => {}
                CheckVerdict::Fail { .. } => return ReportVerdict::Red,
                CheckVerdict::CouldNotRun { .. } => verdict = ReportVerdict::Unknown,
            }
        }
        verdict
    }

    /// Whether every one of these checks was run, in these words and in this image: a proof of other checks is none.
    pub fn covers(&self, checks: &[Check]) -> bool {
        checks.iter().all(|c| {
            self.results
                .iter()
                .any(|r| r.check == c.name && r.command == c.command && r.within == c.within)
        })
    }

    /// The results that are not passes.
    pub fn failing(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.iter().filter(|r| {
            matches!(
                r.verdict,
                CheckVerdict::Fail { .. } | CheckVerdict::CouldNotRun { .. }
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Container, EngineChoice};

    fn within(image: &str) -> Within {
        Within::Container(Container {
            image: image.to_owned().try_into().unwrap(),
            engine: EngineChoice::Any,
        })
    }

    fn check(within: Within) -> Check {
        Check {
            name: "db".parse().unwrap(),
            command: "make db".to_owned(),
            timeout: Span(1000),
            network: Reach::None,
            within,
        }
    }

    #[test]
    fn a_proof_in_another_image_is_a_proof_of_another_check() {
        let run = check(within("postgres:16"));
        let report = CheckReport {
            commit: "a".repeat(40).parse().unwrap(),
            tree: "b".repeat(40).parse().unwrap(),
            results: vec![CheckResult {
                check: run.name.clone(),
                command: run.command.clone(),
                within: run.within.clone(),
                source: Source::Run,
                verdict: CheckVerdict::Pass,
                took: Span(1),
                log: LogRef {
                    path: String::new(),
                    bytes: 0,
                },
            }],
        };
        assert!(report.covers(&[run]));
        for other in [within("postgres:17"), Within::Sandbox] {
            assert!(!report.covers(&[check(other)]));
        }
        let told = crate::explain::report_phrase(&report);
        assert_eq!(told, "db (in postgres:16) passed");
    }

    #[test]
    fn a_record_of_the_sandbox_is_as_it_always_was() {
        let text = serde_json::to_string(&check(Within::Sandbox)).unwrap();
        assert!(!text.contains("within"), "{text}");
        assert_eq!(
            serde_json::from_str::<Check>(&text).unwrap(),
            check(Within::Sandbox)
        );
    }
}
