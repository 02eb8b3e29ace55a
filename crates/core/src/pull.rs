//! Owns the words of pull requests: what was pushed where, what was opened, and the text in which people are told what
//! an issue came to. The text is made of records; what others wrote is put there so that it says nothing to a forge.
//! Pushing and opening are the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::State;
use crate::check::{CheckReport, CheckVerdict};
use crate::command::Command;
use crate::event::{AgentEnd, Event};
use crate::ids::{AttemptId, CommitId, IssueId, TaskId, TreeId};
use crate::outcome::{Finding, Outcome, Verdict};
use crate::record::Record;
use crate::task::Stage;

/// What is to be on a remote, under a name of the issue's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The name of the remote.
    pub remote: String,
    /// The branch there, without `refs/heads/`.
    pub branch: String,
    /// The branch there that it is to be merged into.
    pub base: String,
    /// The commit.
    pub head: CommitId,
}

/// What people see of it there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Page {
    /// The branch, and no more: nobody was there who could open a pull request.
    #[default]
    Branch,
    /// A pull request.
    Opened {
        /// Its address.
        url: String,
        /// Its number, where its forge names one.
        #[serde(default)]
        number: Option<u64>,
    },
}

/// What is known to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// What was pushed.
    pub pushed: Pushed,
    /// What people see of it.
    #[serde(default)]
    pub page: Page,
}

impl PullRequest {
    /// It in a line.
    pub fn phrase(&self) -> String {
        let Pushed {
            remote, branch, head, ..
        } = &self.pushed;
        match &self.page {
            Page::Branch => format!(
                "{branch} is on {remote} at {}, without a pull request",
                head.short()
            ),
            Page::Opened { url, .. } => format!("pull request {url}, at {}", head.short()),
        }
    }
}

/// How far an issue's pull request is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// There is none.
    #[default]
    Nothing,
    /// One was begun and is not known to have been opened or updated.
    Begun {
        /// What was to be pushed.
        pushed: Pushed,
        /// What was there before.
        before: Option<PullRequest>,
        /// What was to be pushed by those begun before it that are not known to have come to anything either: any of
        /// them may be there.
        #[serde(default)]
        earlier: Vec<Pushed>,
    },
    /// There is one.
    There(PullRequest),
}

impl Pull {
    /// What is known to be there, if something is.
    pub fn known(&self) -> Option<&PullRequest> {
        match self {
            Self::Nothing => None,
            Self::Begun { before, .. } => before.as_ref(),
            Self::There(request) => Some(request),
        }
    }

    /// It, after another was begun.
    pub(crate) fn begin(&self, pushed: &Pushed) -> Self {
        let mut earlier = match self {
            Self::Begun { pushed, earlier, .. } => {
                let mut all = earlier.clone();
                all.push(pushed.clone());
                all
            }
            Self::Nothing | Self::There(_) => Vec::new(),
        };
        earlier.retain(|e| e != pushed);
        Self::Begun {
            pushed: pushed.clone(),
            before: self.known().cloned(),
            earlier,
        }
    }

    /// The branch of that remote on which it is, or was begun last: it keeps its name when the issue's title changes.
    pub fn branch_on(&self, remote: &str) -> Option<&str> {
        let (begun, earlier) = self.begun();
        let known = self.known().map(|k| &k.pushed);
        let mut all = known.into_iter().chain(begun).chain(earlier.iter().rev());
        let there = all.find(|p| p.remote == remote);
        there.map(|p| p.branch.as_str())
    }

    /// Whether that was begun, and is not known to have come to anything yet.
    pub fn is_begun(&self, pushed: &Pushed) -> bool {
        let (begun, earlier) = self.begun();
        begun.into_iter().chain(earlier).any(|p| p == pushed)
    }

    /// The one begun last that is not known to have come to anything, and those before it.
    fn begun(&self) -> (Option<&Pushed>, &[Pushed]) {
        match self {
            Self::Begun { pushed, earlier, .. } => (Some(pushed), earlier.as_slice()),
            Self::Nothing | Self::There(_) => (None, &[]),
        }
    }

    /// Where Turno itself may have put that branch of that remote.
    pub fn put(&self, remote: &str, branch: &str) -> Vec<&CommitId> {
        let (begun, earlier) = self.begun();
        let known = self.known().map(|k| &k.pushed);
        let all = begun.into_iter().chain(earlier).chain(known);
        let there = all.filter(|p| p.remote == remote && p.branch == branch);
        there.map(|p| &p.head).collect()
    }

    /// It in a line, if there is something to say.
    pub fn phrase(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::There(request) => Some(request.phrase()),
            Self::Begun { pushed, .. } => Some(format!(
                "a pull request from {} was begun, and what came of it is not known; `turno pr` goes on",
                pushed.branch
            )),
        }
    }
}

/// The name that an issue's branch has on a remote: `turno/7-sign-out-everywhere`.
pub fn branch_name(issue: IssueId, title: &str) -> String {
    let words = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty());
    let mut slug = String::new();
    for word in words {
        if slug.len() + word.len() > 40 {
            break;
        }
        slug.push('-');
        slug.push_str(&word.to_ascii_lowercase());
    }
    format!("turno/{issue}{slug}")
}

/// What records tell of an issue, for the text of its pull request.
#[derive(Debug, Clone)]
pub struct Told {
    issue: IssueId,
    tasks: BTreeMap<AttemptId, TaskId>,
    reports: Vec<CheckReport>,
    findings: BTreeMap<TaskId, Vec<Finding>>,
}

impl Told {
    /// Of an issue, before any record.
    pub fn new(issue: IssueId) -> Self {
        Self {
            issue,
            tasks: BTreeMap::new(),
            reports: Vec::new(),
            findings: BTreeMap::new(),
        }
    }

    /// Takes the next record.
    pub fn take(&mut self, record: &Record) {
        if let Event::ChecksEnded { attempt, report, .. } = &record.event {
            if self.tasks.contains_key(attempt) {
                self.reports.push(report.clone());
            }
        } else if let Event::AgentEnded { attempt, end, .. } = &record.event {
            self.found(*attempt, end);
        }
        for command in &record.commands {
            let about = if let Command::RunChecks(start) = command {
                (start.attempt, start.task)
            } else if let Command::StartAgent(start) = command {
                (start.attempt, start.task)
            } else {
                continue;
            };
            if about.1.issue == self.issue {
                self.tasks.insert(about.0, about.1);
            }
        }
    }

    fn found(&mut self, attempt: AttemptId, end: &AgentEnd) {
        let Some(task) = self.tasks.get(&attempt) else {
            return;
        };
        if let AgentEnd::Finished(Outcome::Verdict {
            verdict: Verdict::Findings { findings },
            ..
        }) = end
        {
            self.findings
                .entry(*task)
                .or_default()
                .extend(findings.iter().cloned());
        }
    }

    /// The text of the pull request, as Markdown. `tree` is that of the pushed commit, `cap` its most characters;
    /// `clean` takes secrets out of what others wrote, before it is escaped: afterwards they would not be known.
    pub fn body(&self, state: &State, tree: &TreeId, cap: usize, clean: &dyn Fn(&str) -> String) -> String {
        let markdown = |text: &str| markdown(&clean(text));
        let mut text = String::new();
        let Some(issue) = state.issues.get(&self.issue) else {
            return text;
        };
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        say("## What was asked for\n");
        say(&format!("{}\n", markdown(&issue.draft.title)));
        let asked = clean(&issue.draft.body);
        for line in asked.lines().filter(|l| !l.trim().is_empty()) {
            say(&format!("> {}", markdown(line)));
        }
        for line in &issue.draft.acceptance {
            say(&format!("- {}", markdown(line)));
        }
        say("\n## What landed\n");
        for task in state.tasks_of(self.issue) {
            if let Stage::Landed { commit, handoff, .. } = &task.stage {
                let summary = handoff.summary.lines().next().unwrap_or_default();
                let mut line = format!(
                    "- `{}` {}: {}",
                    commit.short(),
                    task.id,
                    markdown(&task.spec.title)
                );
                if !summary.trim().is_empty() {
                    line.push_str(&format!(" ({})", markdown(summary)));
                }
                say(&line);
            }
        }
        let left: Vec<_> = state.pieces_of(self.issue).filter(|t| !t.is_over()).collect();
        if !left.is_empty() {
            say("\n## What did not land\n");
            for task in left {
                say(&format!("- {}: {}", task.id, markdown(&task.spec.title)));
            }
        }
        say("\n## Checks\n");
        say(&self.checked(tree));
        say("\n## Findings\n");
        let landed: BTreeSet<TaskId> = state
            .tasks_of(self.issue)
            .filter(|t| matches!(t.stage, Stage::Landed { .. }))
            .map(|t| t.id)
            .collect();
        let mut none = true;
        for (task, findings) in self.findings.iter().filter(|(t, _)| landed.contains(t)) {
            for finding in findings {
                none = false;
                let at = format!("{}:{}", finding.file, finding.line);
                say(&format!(
                    "- {task}, resolved: {} ({})",
                    markdown(&finding.what),
                    markdown(&at)
                ));
            }
        }
        if none {
            say("None was raised.");
        }
        say(&format!(
            "\n## Cost\n\n{}, as far as it is known.",
            state.cost_of(self.issue)
        ));
        say(&format!(
            "\n---\nMade by Turno from its journal: issue {}.",
            self.issue
        ));
        shortened(&text, cap)
    }

    fn checked(&self, tree: &TreeId) -> String {
        let here = self.reports.iter().rfind(|r| r.tree == *tree);
        let Some(report) = here.or_else(|| self.reports.last()) else {
            return "None is known to have run: the project names none, or they ran before this was recorded.".to_owned();
        };
        let mut text = if here.is_some() {
            "At the very tree of this branch:\n".to_owned()
        } else {
            format!(
                "Each change was checked before it landed, and the whole again where it had become another; last, at \
                 `{}`:\n",
                report.commit.short()
            )
        };
        for result in &report.results {
            let verdict = match &result.verdict {
                CheckVerdict::Pass => "passed",
                CheckVerdict::Flaky => "passed at the second time",
                CheckVerdict::Fail { .. } => "FAILED",
                CheckVerdict::CouldNotRun { .. } => "COULD NOT RUN",
            };
            let line = write!(text, "\n- {}: {verdict}", markdown(&result.check.to_string()));
            line.unwrap_or_default();
        }
        text
    }
}

/// A text cut at a line's end, with a word that it was.
fn shortened(text: &str, cap: usize) -> String {
    const CUT: &str = "\n…and more, which is too long for here.\n";
    if text.chars().count() <= cap {
        return text.to_owned();
    }
    let mut kept = String::new();
    let (mut chars, room) = (0, cap.saturating_sub(CUT.chars().count()));
    for line in text.split_inclusive('\n') {
        chars += line.chars().count();
        if chars > room {
            break;
        }
        kept.push_str(line);
    }
    kept + CUT
}

/// Text that others wrote, as one line of Markdown that shows it and does nothing: no markup, no link, no picture, no
/// person who is called, no issue that is closed, nothing that is not seen.
pub fn markdown(text: &str) -> String {
    let text: Vec<char> = text.trim().chars().collect();
    let mut out = String::new();
    for (n, &c) in text.iter().enumerate() {
        let next = text.get(n + 1).copied().unwrap_or(' ');
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | '~' | '=' | '+' | '-'
            | '$' | '.' | '!' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if is_unseen(c) => out.push_str(&format!("⟨{:04X}⟩", u32::from(c))),
            c if c.is_whitespace() => out.push(' '),
            c => out.push(c),
        }
        // What a forge takes for a reference or an address is taken apart where a reader does not see it.
        let refers = matches!(c, '@' | '#' | '!' | '%' | '~' | '$' | '&' | '-') && next.is_alphanumeric();
        if refers || (c == ':' && next == '/') || (c == '.' && next.is_alphanumeric()) {
            out.push_str("<!-- -->");
        }
    }
    out
}

/// Marks of direction, of width none, and controls.
fn is_unseen(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{61c}' | '\u{180e}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_shown_and_does_nothing() {
        let hostile = "</details><img src=x> ![p](http://evil.example/p.png) @admin closes #12 `x` a/b#3 GH-7 \
                       https://github.com/a/b/issues/1 **bold** \u{202e}txt\n# Head";
        let safe = markdown(hostile);
        for harm in [
            "<img",
            "</details",
            "![",
            "](",
            "@admin",
            "#12",
            "GH-7",
            "://",
            "**",
            "\u{202e}",
            "\n",
        ] {
            assert!(!safe.contains(harm), "{harm}: {safe}");
        }
        assert!(!safe.contains('`') || safe.contains("\\`"), "{safe}");
        assert!(safe.contains("⟨202E⟩"), "{safe}");
        assert_eq!(markdown("a plain word, and 5 more"), "a plain word, and 5 more");
    }

    #[test]
    fn a_branch_has_a_name_that_git_takes() {
        let name = |title: &str| branch_name(IssueId(7), title);
        assert_eq!(name("Sign out everywhere!"), "turno/7-sign-out-everywhere");
        assert_eq!(name("..//@{~^ --"), "turno/7");
        assert_eq!(name("Größe ändern"), "turno/7-gr-e-ndern");
        assert!(name(&"word ".repeat(50)).len() < 60);
    }

    #[test]
    fn a_text_that_is_too_long_says_that_it_is_cut() {
        let text = "line\n".repeat(100);
        let cut = shortened(&text, 100);
        assert!(cut.chars().count() <= 100 && cut.contains("and more"), "{cut}");
        assert_eq!(shortened("short\n", 100), "short\n");
    }
}
