//! Owns a run of the project's checks: each with its own limit for its whole tree, output on disk, and an
//! extract that a writer can work with.

use std::path::Path;
use std::time::Instant;

use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict, Source};
use turno_core::command::{CheckStart, NewTests, Recall};
use turno_core::container::Within;
use turno_core::event::Event;
use turno_core::failure::Failure;
use turno_core::ids::{AttemptId, CommitId, TaskId, TreeId};
use turno_core::task::StopWhy;
use turno_core::units::Span;

use super::{not_ready, stopped, to_its_end, workspace};
use crate::known::{Before, Circumstances, Want};
use crate::live::Doing;
use crate::process::supervisor::{After, End, ExitKind, files};
use crate::runner::mouth::{Asked, Ear, Mouth};
use crate::sandbox::Tenant;
use crate::site::{ALONE, Ground, Run, Site, shell};
use crate::slots::SlotPlace;
use crate::transcript::{end_of, log_ref};

const TAIL_BYTES: usize = 5000;
const TELLING_LINES: usize = 25;
const TELLING_WIDTH: usize = 300;

/// Where and on what checks run.
pub(super) struct Bench<'a> {
    pub(super) site: &'a Site,
    pub(super) ground: &'a Ground,
    pub(super) attempt: AttemptId,
    pub(super) task: TaskId,
    pub(super) place: SlotPlace,
    pub(super) checks: &'a [Check],
    pub(super) reruns: u8,
    pub(super) trial: Trial,
}

/// What checks are run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// To see whether a change is good.
    Change,
    /// The same of several changes that are landed together.
    Together,
    /// To see how the checks are.
    Survey,
    /// To see new tests fail without the change they came with.
    WithoutChange,
    /// To see whether what is red with a change is red without it.
    OnBase,
}

/// Runs the checks of a change in its slot, and its new tests without it where that is asked for.
pub(crate) async fn checks(site: &Site, start: CheckStart, mouth: Mouth, mut ear: Ear) {
    let attempt = start.attempt;
    match checked(site, &start, &mut ear).await {
        Ok(Shown {
            report,
            without,
            on_base,
        }) => mouth.end(Event::ChecksEnded {
            attempt,
            report,
            without,
            on_base,
        }),
        Err(failure) => mouth.fail(failure),
    }
}

async fn checked(site: &Site, start: &CheckStart, ear: &mut Ear) -> Result<Shown, Failure> {
    let ground = site.ground(&start.repo).map_err(not_ready)?;
    let without = match &start.new_tests {
        Some(tests) => Some(without_change(site, ground, start, tests, ear).await?),
        None => None,
    };
    let place = SlotPlace::Slot(start.slot);
    let prepared = site.prepare(ground, start.attempt, start.task, place, &start.commit, ear);
    let path = prepared.await.map_err(not_ready)?.path;
    let tree = ground.repo().tree_of(&start.commit).map_err(workspace)?;
    let bench = Bench {
        site,
        ground,
        attempt: start.attempt,
        task: start.task,
        place,
        checks: &start.checks,
        reruns: start.reruns,
        trial: match start.recall {
            Recall::Allowed => Trial::Change,
            Recall::Never => Trial::Survey,
        },
    };
    let report = bench.run(&path, &start.commit, &tree, ear).await;
    clean(ground, place, &start.commit).await;
    let on_base = match &start.base {
        Some(base) if was_stopped(ear).is_none() => on_base(site, ground, start, base, &report, ear).await?,
        Some(_) | None => None,
    };
    match was_stopped(ear) {
        Some(why) => Err(stopped(why)),
        None => Ok(Shown {
            report,
            without,
            on_base,
        }),
    }
}

/// What a run of checks has shown.
struct Shown {
    report: CheckReport,
    /// Of new tests, without the change they came with.
    without: Option<CheckReport>,
    /// Of the checks that are red, without the change.
    on_base: Option<CheckReport>,
}

/// What those that are red show without the change; nothing where none is.
async fn on_base(
    site: &Site,
    ground: &Ground,
    start: &CheckStart,
    base: &CommitId,
    report: &CheckReport,
    ear: &mut Ear,
) -> Result<Option<CheckReport>, Failure> {
    let is_red = |check: &&Check| {
        let of = report.results.iter().find(|r| r.check == check.name);
        of.is_some_and(|r| matches!(r.verdict, CheckVerdict::Fail { .. }))
    };
    let red: Vec<Check> = start.checks.iter().filter(is_red).cloned().collect();
    if red.is_empty() {
        return Ok(None);
    }
    let place = SlotPlace::Slot(start.slot);
    let prepared = site.prepare(ground, start.attempt, start.task, place, base, ear);
    let path = prepared.await.map_err(not_ready)?.path;
    let tree = ground.repo().tree_of(base).map_err(workspace)?;
    let bench = Bench {
        site,
        ground,
        attempt: start.attempt,
        task: start.task,
        place,
        checks: &red,
        reruns: start.reruns,
        trial: Trial::OnBase,
    };
    let report = bench.run(&path, base, &tree, ear).await;
    clean(ground, place, base).await;
    Ok(Some(report))
}

/// What the checks show of new tests where the change is missing that they came with.
async fn without_change(
    site: &Site,
    ground: &Ground,
    start: &CheckStart,
    tests: &NewTests,
    ear: &mut Ear,
) -> Result<CheckReport, Failure> {
    let place = SlotPlace::Slot(start.slot);
    let prepared = site.prepare(ground, start.attempt, start.task, place, &tests.base, ear);
    let path = prepared.await.map_err(not_ready)?.path;
    site.live.say(
        start.attempt,
        Doing::Step("the new tests without the change: they must fail".to_owned()),
    );
    let laid = ground.pool.lay_over(place, &start.commit, &tests.paths).await;
    let report = match laid {
        Ok(tree) => {
            let bench = Bench {
                site,
                ground,
                attempt: start.attempt,
                task: start.task,
                place,
                checks: &start.checks,
                // Green at any time shows that they test nothing, so there is nothing to try again.
                reruns: 0,
                trial: Trial::WithoutChange,
            };
            Ok(bench.run(&path, &tests.base, &tree, ear).await)
        }
        Err(error) => Err(workspace(error)),
    };
    clean(ground, place, &tests.base).await;
    match was_stopped(ear) {
        Some(why) => Err(stopped(why)),
        None => report,
    }
}

/// What checks leave behind is nobody's work.
async fn clean(ground: &Ground, place: SlotPlace, commit: &CommitId) {
    if let Err(error) = ground.pool.discard(place, commit).await {
        tracing::warn!(%error, "the slot could not be cleaned after its checks; its next use does it");
    }
}

/// Why it was told to stop, if it was.
pub(super) fn was_stopped(ear: &Ear) -> Option<StopWhy> {
    match *ear.borrow() {
        Asked::Stop(why) => Some(why),
        Asked::GoOn => None,
    }
}

impl Bench<'_> {
    /// Every check at one tree, in order. After a stop the rest is not run.
    pub(super) async fn run(
        &self,
        path: &Path,
        commit: &CommitId,
        tree: &TreeId,
        ear: &mut Ear,
    ) -> CheckReport {
        let mut results = Vec::new();
        for check in self.checks {
            // A check that was not run is in the report as such: the rest alone would pass for the whole.
            let result = match was_stopped(ear) {
                Some(_) => self.not_run(check, "it was stopped before its turn"),
                None => self.known_or_run(check, path, tree, ear).await,
            };
            results.push(result);
        }
        CheckReport {
            commit: commit.clone(),
            tree: tree.clone(),
            results,
        }
    }

    /// A report in which nothing could be run.
    pub(super) fn none_run(&self, commit: &CommitId, tree: &TreeId, why: &str) -> CheckReport {
        let results = self.checks.iter().map(|check| self.not_run(check, why)).collect();
        CheckReport {
            commit: commit.clone(),
            tree: tree.clone(),
            results,
        }
    }

    /// Runs a check's command to its end, in what it is to be run in.
    async fn run_in(
        &self,
        dir: &Path,
        path: &Path,
        check: &Check,
        ear: &mut Ear,
    ) -> Result<Option<End>, String> {
        match &check.within {
            Within::Sandbox => self.run_confined(dir, path, check, ear).await,
            Within::Container(asked) => self.run_contained(dir, path, check, asked, ear).await,
        }
    }

    /// The same in the sandbox, where programs are confined.
    async fn run_confined(
        &self,
        dir: &Path,
        path: &Path,
        check: &Check,
        ear: &mut Ear,
    ) -> Result<Option<End>, String> {
        let tenant = Tenant {
            ground: self.ground,
            place: self.place,
            path,
            attempt: self.attempt,
        };
        let mut env = self.site.base_env(self.task, self.place);
        let lodged = tenant
            .lodge(self.site, dir, check.network, &mut env)
            .await
            .map_err(|e| e.to_string())?;
        let (lodged, bounds) = lodged.unzip();
        let run = self.site.supervise(Run {
            attempt: self.attempt,
            dir,
            argv: shell(&check.command),
            cwd: path,
            env,
            limit_ms: check.timeout.0,
            bounds,
            alone: ALONE,
            after: After::Nothing,
        });
        let run = run.await.map_err(|e| e.to_string())?;
        let end = to_its_end(run, ear).await;
        if let Some(lodged) = lodged {
            lodged.leave();
        }
        Ok(end)
    }

    /// What an end says of a check.
    fn read(&self, end: Option<End>, check: &Check, dir: &Path) -> CheckVerdict {
        let engine = match (&check.within, &end) {
            (Within::Container(_), Some(End::Exited(ExitKind::Code(code)))) => self.engine_said(*code, dir),
            (Within::Container(_) | Within::Sandbox, _) => None,
        };
        engine.unwrap_or_else(|| verdict(end, check, dir))
    }

    fn not_run(&self, check: &Check, why: &str) -> CheckResult {
        let dir = self.site.dirs.attempt(self.attempt);
        CheckResult {
            check: check.name.clone(),
            command: check.command.clone(),
            within: check.within.clone(),
            verdict: CheckVerdict::CouldNotRun { why: why.to_owned() },
            took: Span(0),
            log: log_ref(self.site.dirs.root(), &dir.join("checks")),
            source: Source::Run,
        }
    }

    /// What is known of a check at a tree, or what a run of it shows.
    async fn known_or_run(&self, check: &Check, path: &Path, tree: &TreeId, ear: &mut Ear) -> CheckResult {
        let env = self.site.base_env(self.task, self.place);
        let sandbox = &self.site.config.sandbox;
        let around = format!(
            "{:?} {:?} {sandbox:?} {}",
            check.within,
            self.site.hold.confinement(),
            self.ground.set_up_how()
        );
        let circumstances = Circumstances {
            tree,
            check,
            env: &env,
            around: &around,
        };
        let key = circumstances.key();
        let before = match self.trial {
            // A culprit is looked for among trees of which some were red a moment ago.
            Trial::Together => {
                let want = Want::Any { reruns: self.reruns };
                self.site.known.look_up(&key, check, want, draw())
            }
            Trial::Change => self.site.known.look_up(&key, check, Want::Passes, draw()),
            // What is asked is how it is now: a pass of yesterday would blame the change for what broke since.
            Trial::OnBase | Trial::WithoutChange | Trial::Survey => Before::Nothing,
        };
        if let Before::This(known) = before {
            let text = format!("check {} is known at this tree and not run again", check.name);
            self.site.live.say(self.attempt, Doing::Step(text));
            return known;
        }
        let (mut result, reruns) = self.check(check, path, ear).await;
        let known = &self.site.known;
        result.source = known.learn(&key, self.attempt, reruns, &result, &before);
        if let Source::Differs { by } = result.source {
            let name = &check.name;
            tracing::error!(check = %name, %by, "a check shows the opposite of what it showed on the same files");
            let text = format!("ALARM: check {name} shows the opposite of what {by} saw on the same files");
            self.site.live.say(self.attempt, Doing::Step(text));
        }
        result
    }

    /// Runs a check, and again while it is red; says how often again.
    async fn check(&self, check: &Check, path: &Path, ear: &mut Ear) -> (CheckResult, u8) {
        let first = self.once(check, path, ear, 0).await;
        let (mut seen, mut again) = (first, 0);
        for rerun in 1..=self.reruns {
            let CheckVerdict::Fail { .. } = &seen.verdict else {
                break;
            };
            if was_stopped(ear).is_some() || seen.took.0 >= check.timeout.0 {
                break;
            }
            let last = self.once(check, path, ear, rerun).await;
            again = rerun;
            if last.verdict == CheckVerdict::Pass {
                seen.verdict = CheckVerdict::Flaky;
            }
        }
        (seen, again)
    }

    /// One run of one check.
    async fn once(&self, check: &Check, path: &Path, ear: &mut Ear, rerun: u8) -> CheckResult {
        let (name, within) = (&check.name, check.within.phrase());
        let (step, kept_in) = match (self.trial, rerun) {
            (Trial::WithoutChange, _) => (
                format!("check {name} without the change"),
                format!("{name}-without"),
            ),
            (Trial::OnBase, _) => (
                format!("check {name}, to see whether it is red without the change"),
                format!("{name}-base-{rerun}"),
            ),
            (Trial::Change | Trial::Together | Trial::Survey, 0) => {
                (format!("check {name}"), format!("{name}-{rerun}"))
            }
            (Trial::Change | Trial::Together | Trial::Survey, _) => (
                format!("check {name}, again to see whether it is flaky"),
                format!("{name}-{rerun}"),
            ),
        };
        self.site.live.say(self.attempt, Doing::Step(step));
        let dir = self.site.dirs.attempt(self.attempt).join("checks").join(kept_in);
        let begun = Instant::now();
        let verdict = match self.run_in(&dir, path, check, ear).await {
            Ok(end) => self.read(end, check, &dir),
            Err(why) => CheckVerdict::CouldNotRun { why },
        };
        let took = Span(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let log = log_ref(self.site.dirs.root(), &dir.join(files::OUT));
        let text = match &verdict {
            CheckVerdict::Pass | CheckVerdict::Flaky => format!("check {name}{within} passed"),
            CheckVerdict::Fail { .. } => format!("check {name}{within} failed"),
            CheckVerdict::CouldNotRun { why } => format!("check {name}{within} could not be run: {why}"),
        };
        self.site.live.say(self.attempt, Doing::Step(text));
        CheckResult {
            check: name.clone(),
            command: check.command.clone(),
            within: check.within.clone(),
            verdict,
            took,
            log,
            source: Source::Run,
        }
    }
}

/// A random number below 100. Its only use is to choose what is looked at again.
fn draw() -> u8 {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    bytes[0] % 100
}

fn verdict(end: Option<End>, check: &Check, dir: &Path) -> CheckVerdict {
    let out = dir.join(files::OUT);
    match end {
        Some(End::Exited(ExitKind::Code(0))) => CheckVerdict::Pass,
        Some(End::Exited(ExitKind::Code(code @ (126 | 127)))) => {
            let said = end_of(&out, 300);
            CheckVerdict::CouldNotRun {
                why: format!("exit code {code}, a program it needs is missing: {}", said.trim()),
            }
        }
        Some(End::Exited(ExitKind::Code(code))) => CheckVerdict::Fail {
            extract: extract(&end_of(&out, 1 << 20), &format!("exit code {code}")),
        },
        Some(End::Exited(ExitKind::Signal(signal))) => CheckVerdict::Fail {
            extract: extract(&end_of(&out, 1 << 20), &format!("ended by signal {signal}")),
        },
        Some(End::TimedOut) => {
            // A line of its own, so that whoever is shown one line of it is shown this one.
            let extract = format!(
                "{}\nit failed: stopped after its limit of {}, with all it had started",
                extract(&end_of(&out, 1 << 20), "no exit code"),
                check.timeout
            );
            CheckVerdict::Fail { extract }
        }
        Some(End::TooMuchOutput) => CheckVerdict::Fail {
            extract: "it wrote more output than is kept".to_owned(),
        },
        // It says nothing of the change: with more of the machine it might have passed.
        Some(End::HitLimit(hit)) => CheckVerdict::CouldNotRun { why: hit.words() },
        Some(End::Stopped | End::Alone) => CheckVerdict::CouldNotRun {
            why: "it was stopped".to_owned(),
        },
        Some(End::TranscriptFailed(why) | End::NotStarted(why)) => CheckVerdict::CouldNotRun { why },
        None => CheckVerdict::CouldNotRun {
            why: "nothing is known of its end".to_owned(),
        },
    }
}

/// The part of an output that a writer can work with: the lines that tell of failure, then the end.
fn extract(output: &str, how: &str) -> String {
    let output = strip_colours(output);
    let cut = output.len().saturating_sub(TAIL_BYTES);
    let cut = (cut..output.len())
        .find(|i| output.is_char_boundary(*i))
        .unwrap_or(output.len());
    let (before, tail) = output.split_at(cut);
    let telling: Vec<&str> = before
        .lines()
        .filter(|line| {
            let lower = line.to_lowercase();
            ["error", "fail", "panic", "assert", "expected"]
                .iter()
                .any(|word| lower.contains(word))
        })
        .take(TELLING_LINES)
        .collect();
    let mut text = String::new();
    for line in telling {
        text.extend(line.chars().take(TELLING_WIDTH));
        text.push('\n');
    }
    if !before.is_empty() {
        text.push_str("[...]\n");
    }
    text.push_str(tail.trim_end());
    text.push_str(&format!("\n[{how}]"));
    text
}

fn strip_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // A sequence ends with a letter.
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extract_has_the_telling_lines_and_the_end() {
        let long = format!("start\nerror[E1]: early\n{}the end\n", "noise\n".repeat(3000));
        let text = extract(&long, "exit code 1");
        assert!(text.starts_with("error[E1]: early\n[...]\n"), "{text}");
        assert!(text.ends_with("the end\n[exit code 1]"), "{text}");
        assert!(text.len() < 6000);
    }

    #[test]
    fn a_short_output_is_whole_and_plain() {
        assert_eq!(
            extract("\u{1b}[31mred\u{1b}[0m\n", "exit code 2"),
            "red\n[exit code 2]"
        );
    }
}
