//! Owns the shape of a change on a page: files, hunks, lines with their numbers, and what was found wrong beside the
//! line it is about. It reads what git writes and takes any text.

use serde::Serialize;

use crate::view::things::{DiffView, FindingView};

/// No more lines are shown.
const LINES: usize = 6_000;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Shaped {
    pub(super) files: Vec<OfFile>,
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) bytes: usize,
    /// Whether there is more than is shown.
    pub(super) cut: bool,
    /// What was found in places that are not shown.
    pub(super) elsewhere: Vec<FindingView>,
}

/// What changes in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OfFile {
    pub(super) name: String,
    /// What is said of it besides lines: a mode, a new name, that it is binary.
    pub(super) notes: Vec<String>,
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) lines: Vec<Line>,
    /// What was found wrong with it as a whole.
    pub(super) findings: Vec<FindingView>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) kind: Kind,
    /// Its number before.
    pub(super) old: Option<usize>,
    /// Its number after.
    pub(super) new: Option<usize>,
    pub(super) text: String,
    pub(super) findings: Vec<FindingView>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// The head of a hunk.
    Hunk,
    /// It came.
    Add,
    /// It went.
    Del,
    /// It stayed.
    Same,
    /// It is no line of the file, like that the file does not end with a line break.
    Note,
}

/// Where in a hunk the reader is.
#[derive(Debug, Clone, Copy)]
struct At {
    old: usize,
    new: usize,
    /// So many lines of each are to come.
    old_left: usize,
    new_left: usize,
}

impl At {
    /// Of `@@ -1,2 +3,4 @@`.
    fn of(head: &str) -> Option<Self> {
        let mut words = head.strip_prefix("@@ -")?.split(' ');
        let (old, old_left) = range(words.next()?)?;
        let (new, new_left) = range(words.next()?.strip_prefix('+')?)?;
        Some(Self {
            old,
            new,
            old_left,
            new_left,
        })
    }

    fn is_over(self) -> bool {
        self.old_left == 0 && self.new_left == 0
    }
}

fn range(text: &str) -> Option<(usize, usize)> {
    match text.split_once(',') {
        Some((from, count)) => Some((from.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

impl Shaped {
    pub(super) fn of(diff: &DiffView, findings: &[FindingView]) -> Self {
        let mut shaped = Self {
            files: Vec::new(),
            added: 0,
            removed: 0,
            bytes: diff.bytes,
            cut: diff.text.len() < diff.bytes,
            elsewhere: Vec::new(),
        };
        shaped.read(&diff.text);
        shaped.find(findings);
        shaped
    }

    fn read(&mut self, text: &str) {
        let mut hunk: Option<At> = None;
        for (count, line) in text.lines().enumerate() {
            if count == LINES {
                self.cut = true;
                break;
            }
            // Within a hunk the counts say what is a line of the file, whatever it looks like.
            if let Some(at) = hunk.as_mut().filter(|at| !at.is_over() || line.starts_with('\\')) {
                self.line(at, line);
                continue;
            }
            if let Some(names) = line.strip_prefix("diff --git ") {
                hunk = None;
                self.files.push(OfFile::named(names));
                continue;
            }
            let Some(file) = self.files.last_mut() else {
                continue;
            };
            if let Some(at) = At::of(line) {
                hunk = Some(at);
                file.lines.push(Line::bare(Kind::Hunk, line));
            } else {
                file.note(line);
            }
        }
    }

    fn line(&mut self, at: &mut At, line: &str) {
        let Some(file) = self.files.last_mut() else { return };
        let mut chars = line.chars();
        let first = chars.next();
        let mut read = Line::bare(Kind::Same, chars.as_str());
        match first {
            Some('+') => {
                read.kind = Kind::Add;
                file.added += 1;
                self.added += 1;
            }
            Some('-') => {
                read.kind = Kind::Del;
                file.removed += 1;
                self.removed += 1;
            }
            Some('\\') => {
                file.lines.push(Line::bare(Kind::Note, chars.as_str().trim()));
                return;
            }
            Some(_) | None => {}
        }
        if read.kind != Kind::Add {
            read.old = Some(at.old);
            at.old += 1;
            at.old_left = at.old_left.saturating_sub(1);
        }
        if read.kind != Kind::Del {
            read.new = Some(at.new);
            at.new += 1;
            at.new_left = at.new_left.saturating_sub(1);
        }
        file.lines.push(read);
    }

    /// Puts what was found beside the line as it is now.
    fn find(&mut self, findings: &[FindingView]) {
        for finding in findings {
            let Some(file) = self.files.iter_mut().find(|f| f.name == finding.file) else {
                self.elsewhere.push(finding.clone());
                continue;
            };
            let number = usize::try_from(finding.line).ok();
            match file.lines.iter_mut().find(|l| l.new == number && l.new.is_some()) {
                Some(line) => line.findings.push(finding.clone()),
                None => file.findings.push(finding.clone()),
            }
        }
    }
}

impl OfFile {
    /// Of `a/x b/x`; a line that follows may name it better.
    fn named(names: &str) -> Self {
        let name = names.split_once(" b/").map_or(names, |(_, name)| name);
        Self {
            name: name.to_owned(),
            notes: Vec::new(),
            added: 0,
            removed: 0,
            lines: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn note(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("+++ b/")
            .or_else(|| line.strip_prefix("rename to "))
        {
            name.trim_end_matches('\t').clone_into(&mut self.name);
        }
        let is_known = ["index ", "--- ", "+++ "].iter().any(|p| line.starts_with(p));
        if !is_known && !line.trim().is_empty() {
            self.notes.push(line.to_owned());
        }
    }
}

impl Line {
    fn bare(kind: Kind, text: &str) -> Self {
        Self {
            kind,
            old: None,
            new: None,
            text: text.to_owned(),
            findings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turno_core::outcome::Severity;

    const DIFF: &str = "diff --git a/src/a.rs b/src/a.rs\nindex 1..2 100644\n--- a/src/a.rs\n+++ b/src/a.rs\n\
                        @@ -1,3 +1,3 @@ fn a\n one\n--- two\n+++ deux\n three\n\\ No newline at end of file\n\
                        diff --git a/b b/b\nnew file mode 100644\n--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+diff --git a/x b/x\n\
                        diff --git a/p.png b/q.png\nrename from p.png\nrename to q.png\nBinary files differ\n";

    fn shaped(findings: &[FindingView]) -> Shaped {
        let view = DiffView {
            text: DIFF.to_owned(),
            bytes: DIFF.len(),
        };
        Shaped::of(&view, findings)
    }

    fn finding(file: &str, line: u32) -> FindingView {
        FindingView {
            task: "1.1".parse().unwrap(),
            file: file.to_owned(),
            line,
            severity: Severity::Major,
            what: "wrong".to_owned(),
            how_to_see: String::new(),
            said: None,
        }
    }

    #[test]
    fn lines_have_their_numbers_and_what_looks_like_a_head_is_a_line() {
        let shaped = shaped(&[]);
        let names: Vec<_> = shaped.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["src/a.rs", "b", "q.png"]);
        assert_eq!((shaped.added, shaped.removed, shaped.cut), (2, 1, false));
        let lines: Vec<_> = shaped.files[0]
            .lines
            .iter()
            .map(|l| (l.kind, l.old, l.new, l.text.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (Kind::Hunk, None, None, "@@ -1,3 +1,3 @@ fn a"),
                (Kind::Same, Some(1), Some(1), "one"),
                (Kind::Del, Some(2), None, "-- two"),
                (Kind::Add, None, Some(2), "++ deux"),
                (Kind::Same, Some(3), Some(3), "three"),
                (Kind::Note, None, None, "No newline at end of file"),
            ]
        );
        assert_eq!(shaped.files[1].lines[1].text, "diff --git a/x b/x");
        assert_eq!(
            shaped.files[2].notes,
            ["rename from p.png", "rename to q.png", "Binary files differ"]
        );
    }

    #[test]
    fn a_finding_stands_at_its_line_else_at_its_file_else_apart() {
        let findings = [finding("src/a.rs", 2), finding("src/a.rs", 0), finding("c", 1)];
        let shaped = shaped(&findings);
        assert_eq!(shaped.files[0].lines[3].findings, findings[..1]);
        assert_eq!(shaped.files[0].findings, findings[1..2]);
        assert_eq!(shaped.elsewhere, findings[2..]);
    }

    #[test]
    fn any_text_is_read_and_no_more_than_is_shown() {
        for text in [
            "",
            "@@",
            "diff --git ",
            "@@ -1 +1 @@\n+x",
            "+\u{e9}",
            "diff --git a/x b/x\n@@ -1,9 +1,9 @@\n\u{e9}\n",
        ] {
            let view = DiffView {
                text: text.to_owned(),
                bytes: text.len(),
            };
            assert!(!Shaped::of(&view, &[]).cut);
        }
        let text = format!(
            "diff --git a/x b/x\n@@ -0,0 +1,90000 @@\n{}",
            "+x\n".repeat(90_000)
        );
        let view = DiffView {
            bytes: text.len(),
            text,
        };
        let shaped = Shaped::of(&view, &[]);
        assert!(shaped.cut);
        assert!(shaped.files[0].lines.len() <= LINES);
    }
}
