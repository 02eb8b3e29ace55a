//! New tests are run where the change is missing that they came with: they must fail there. It is asked of the
//! runner itself, with real processes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use turno_core::check::{CheckReport, CheckVerdict, ReportVerdict};
use turno_core::command::{CheckStart, NewTests};
use turno_core::event::Event;
use turno_core::ids::{AttemptId, CommitId, RepoName, SlotId};
use turno_engine::config::{self, EnvMap, Overrides, Places};
use turno_engine::git::Repo;
use turno_engine::repos::Repos;
use turno_engine::runner::local::Local;
use turno_engine::runner::{Runner, Submission};
use turno_engine::site::Site;
use turno_engine::workspace::StateDir;

use crate::harness::project::Project;

/// The check counts its runs, leaves something behind, and knows nothing of the change: only of its tests.
const CONFIG: &str = "\
[checks.test]
command = \"echo run >> \\\"$HOME/runs\\\"; echo x > left-behind; if test -e test.sh; then sh test.sh; fi\"
";

struct Bench {
    project: Project,
    base: CommitId,
    change: CommitId,
}

impl Bench {
    /// A change with a test: `test` is what the test does.
    fn new(test: &str) -> Self {
        let project = Project::new(&[("turno.toml", CONFIG), ("code", "old\n"), ("old-test", "x\n")]);
        let id = || -> CommitId { project.git(&["rev-parse", "HEAD"]).parse().unwrap() };
        let base = id();
        project.git(&["checkout", "-q", "--detach"]);
        project.git(&["rm", "-q", "old-test"]);
        project.write(&[("code", "new\n"), ("test.sh", test)]);
        project.git(&["add", "-A"]);
        project.git(&["commit", "-q", "-m", "change"]);
        let change = id();
        project.git(&["checkout", "-q", "main"]);
        project.git(&["update-ref", "refs/turno/test", &change.to_string()]);
        Self {
            project,
            base,
            change,
        }
    }

    fn slot(&self) -> PathBuf {
        self.project.state().join("slots/1")
    }

    /// What the runner tells of these checks.
    async fn told(&self, attempt: u64) -> Event {
        let env: EnvMap = ["PATH", "HOME"]
            .into_iter()
            .map(|name| {
                let home = self.project.home().display().to_string();
                let value = if name == "HOME" {
                    home
                } else {
                    std::env::var(name).unwrap()
                };
                (name.to_owned(), value)
            })
            .collect();
        let places = Places {
            repo: self.project.repo(),
            user: None,
        };
        let config = config::load(&places, &env, &Overrides::default()).unwrap();
        let dirs = StateDir::at(self.project.state(), &self.project.repo());
        let repos = Repos::open(Repo::open(&self.project.repo()).unwrap(), &config, &dirs).unwrap();
        let checks = config.core.checks.clone();
        let turno = Path::new(env!("CARGO_BIN_EXE_turno")).to_owned();
        let site = Arc::new(
            Site::new(
                &repos,
                dirs,
                turno,
                Arc::new(config),
                env,
                turno_engine::sandbox::Hold::Off,
            )
            .unwrap(),
        );
        let runner = Local::new(site);
        runner.submit(Submission::Checks(Box::new(CheckStart {
            attempt: AttemptId(attempt),
            task: "1.1".parse().unwrap(),
            repo: RepoName::default(),
            slot: SlotId(1),
            commit: self.change.clone(),
            checks,
            reruns: 2,
            new_tests: Some(NewTests {
                base: self.base.clone(),
                paths: BTreeSet::from(["test.sh".to_owned(), "old-test".to_owned()]),
            }),
            base: None,
            recall: turno_core::command::Recall::Allowed,
        })));
        let told = tokio::time::timeout(Duration::from_secs(60), runner.events(0));
        let mut told = told.await.unwrap();
        runner.shutdown().await;
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0).event
    }

    async fn reports(&self, attempt: u64) -> (CheckReport, CheckReport) {
        match self.told(attempt).await {
            Event::ChecksEnded {
                report,
                without: Some(without),
                ..
            } => (report, without),
            other => panic!("{other:?}"),
        }
    }

    fn runs(&self) -> usize {
        let runs = std::fs::read_to_string(self.project.home().join("runs")).unwrap();
        runs.lines().count()
    }

    /// Nothing of the overlay or of the checks is in the slot, in a commit or under a ref.
    fn is_clean(&self) {
        let slot = self.slot().display().to_string();
        let git = |args: &[&str]| self.project.git(&[&["-C", slot.as_str()], args].concat());
        assert_eq!(git(&["status", "--porcelain", "--ignored"]), "");
        assert_eq!(git(&["rev-parse", "HEAD"]), self.change.as_str());
        let refs = self.project.git(&["for-each-ref", "--format=%(refname)"]);
        assert_eq!(refs, "refs/heads/main\nrefs/turno/test");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_fail_without_the_change_and_pass_with_it() {
    let bench = Bench::new("grep new code && ! test -e old-test\n");
    let (report, without) = bench.reports(1).await;
    assert_eq!(report.verdict(), ReportVerdict::Green, "{report:?}");
    assert_eq!(report.commit, bench.change);
    assert_eq!(without.verdict(), ReportVerdict::Red, "{without:?}");
    assert_eq!(without.commit, bench.base);
    // The report is bound to what was there: the old code with the new tests.
    let listed = bench
        .project
        .git(&["ls-tree", "--name-only", without.tree.as_str()]);
    assert_eq!(listed, "code\ntest.sh\nturno.toml");
    let code = format!("{}:code", without.tree);
    assert_eq!(bench.project.git(&["show", &code]), "old");
    assert_eq!(bench.runs(), 2, "a red run without the change is not repeated");
    let logs: Vec<&str> = [&without, &report].map(|r| r.results[0].log.path.as_str()).into();
    assert_eq!(
        logs,
        [
            "attempts/a1/checks/test-without/out",
            "attempts/a1/checks/test-0/out"
        ]
    );
    bench.is_clean();
    // The slot is as warm and as clean the next time.
    bench.reports(2).await;
    bench.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_that_show_nothing_are_seen() {
    let bench = Bench::new("true\n");
    let (report, without) = bench.reports(1).await;
    assert_eq!(report.verdict(), ReportVerdict::Green);
    assert_eq!(without.verdict(), ReportVerdict::Green);
    assert_eq!(without.results[0].verdict, CheckVerdict::Pass);
    bench.is_clean();
}
