//! Owns a plan as text that a person writes: the TOML document of `turno plan open`, and the lists that `turno plan split`
//! reads. What was changed becomes edits; whether they are sound is the core's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Deserialize;
use toml::Spanned;
use turno_core::ids::TaskId;
use turno_core::outcome::{PlannedTask, Size};
use turno_core::persona::Role;
use turno_core::plan::edit::{Dependants, PlanEdit, Running, TaskChange};
use turno_core::plan::view::{Open, PlanTask, PlanView};

/// A task as a person writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    /// Of a task there is.
    id: Option<String>,
    /// Of a new one: a name for the needs of others.
    key: Option<String>,
    title: String,
    text: String,
    accept: Vec<String>,
    needs: Vec<String>,
    paths: Vec<String>,
    writer: Role,
    size: Size,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    task: Vec<Spanned<Entry>>,
}

/// JSON may be the bare list too.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Listed {
    Bare(Vec<Entry>),
    Named { task: Vec<Entry> },
}

impl Entry {
    fn planned(self, at: usize) -> PlannedTask {
        PlannedTask {
            key: self.key.unwrap_or_else(|| format!("new-{}", at + 1)),
            writer: self.writer,
            size: self.size,
            title: self.title,
            brief: self.text,
            acceptance: self.accept,
            needs: self.needs,
            touches: self.paths,
        }
    }
}

/// The tasks of a list: TOML with `[[task]]`, JSON, or a Markdown list whose items are titles, with their text indented
/// below them.
///
/// # Errors
/// When it is none of these, in words that name the line.
pub(super) fn list(text: &str) -> Result<Vec<PlannedTask>, String> {
    let begins = |what: &[char]| text.trim_start().starts_with(what);
    let is_toml = text.lines().any(|line| line.trim() == "[[task]]");
    let entries = if is_toml {
        let document: Document = toml::from_str(text).map_err(|e| e.to_string())?;
        document.task.into_iter().map(Spanned::into_inner).collect()
    } else if begins(&['[', '{']) {
        match serde_json::from_str(text).map_err(|e| e.to_string())? {
            Listed::Bare(entries) | Listed::Named { task: entries } => entries,
        }
    } else {
        markdown(text)?
    };
    if let Some(known) = entries.iter().find_map(|e| e.id.as_ref()) {
        return Err(format!(
            "the tasks of this list are new ones, and one has the id {known}"
        ));
    }
    Ok(entries
        .into_iter()
        .enumerate()
        .map(|(at, e)| e.planned(at))
        .collect())
}

fn markdown(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let item = ["- ", "* ", "+ "].iter().find_map(|mark| line.strip_prefix(mark));
        let numbered = line
            .split_once(". ")
            .filter(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        match (item.or(numbered.map(|(_, rest)| rest)), entries.last_mut()) {
            (Some(title), _) => entries.push(Entry {
                title: title.trim().to_owned(),
                ..Entry::default()
            }),
            (None, Some(entry)) => {
                entry.text.push_str(line.trim());
                entry.text.push('\n');
            }
            (None, None) if line.trim().is_empty() || line.starts_with('#') => {}
            (None, None) => {
                return Err(format!(
                    "line {}: a list of tasks begins with `- TITLE`, `[[task]]` or `[`, and this is `{line:.60}`",
                    at + 1
                ));
            }
        }
    }
    for entry in &mut entries {
        entry.text = entry.text.trim().to_owned();
    }
    Ok(entries)
}

/// A plan as a document.
pub(super) fn write(plan: &PlanView) -> String {
    let mut text = format!(
        "# The plan of issue {}: {}\n#\n# Change what you like and save. A [[task]] without id is a new one (`key` is a name \
         for the needs of others);\n# one that you take out is given up, and its work kept; their order is the order in \
         which they are begun.\n# An empty file changes nothing.\n",
        plan.issue,
        one_line(&plan.title)
    );
    for task in &plan.tasks {
        let at = one_line(&task.detail);
        if task.open == Open::Nothing {
            // A line of the list that is no part of it.
            let _infallible = writeln!(text, "\n# {} {} ({at})", task.id, one_line(&task.title));
            continue;
        }
        let _infallible = write!(
            text,
            "\n[[task]] # {at}\nid = {}\ntitle = {}\ntext = {}\naccept = {}\nneeds = {}\npaths = {}\n",
            quoted(&task.id.to_string()),
            quoted(&task.title),
            quoted(&task.text),
            array(&task.acceptance),
            array(&task.needs.iter().map(ToString::to_string).collect::<Vec<_>>()),
            array(&task.paths),
        );
    }
    text
}

fn one_line(text: &str) -> String {
    crate::print::plain(text, 100)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn array(lines: &[String]) -> String {
    toml::Value::from(lines.to_vec()).to_string()
}

/// Edits, each with the line of the document that it comes from; 0 for what has no line any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) edits: Vec<PlanEdit>,
    pub(super) lines: Vec<usize>,
}

impl Changes {
    fn push(&mut self, line: usize, edit: PlanEdit) {
        self.edits.push(edit);
        self.lines.push(line);
    }
}

/// What was changed in a document, held against the plan it was written from.
///
/// # Errors
/// When it is no such document, in words that name the line.
pub(super) fn read(text: &str, plan: &PlanView) -> Result<Changes, String> {
    let document: Document = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut changes = Changes::default();
    if document.task.is_empty() {
        return Ok(changes);
    }
    let before: BTreeMap<TaskId, &PlanTask> = plan
        .tasks
        .iter()
        .filter(|t| t.open != Open::Nothing)
        .map(|t| (t.id, t))
        .collect();
    let mut kept = Vec::new();
    for (at, entry) in document.task.into_iter().enumerate() {
        let line = 1 + text
            .get(..entry.span().start)
            .map_or(0, |t| t.matches('\n').count());
        let entry = entry.into_inner();
        let Some(id) = &entry.id else {
            changes.push(line, PlanEdit::Add(Box::new(entry.planned(at))));
            continue;
        };
        let id: TaskId = id.parse().map_err(|e| format!("line {line}: {e}"))?;
        let Some(task) = before.get(&id) else {
            return Err(format!(
                "line {line}: {id} is no task of this plan that can be changed; leave `id` out for a new one"
            ));
        };
        if kept.contains(&id) {
            return Err(format!("line {line}: {id} is there twice"));
        }
        kept.push(id);
        let to = difference(task, entry);
        if to != TaskChange::default() {
            let to = Box::new(to);
            let running = Running::Finish;
            changes.push(
                line,
                PlanEdit::Change {
                    task: id,
                    to,
                    running,
                },
            );
        }
    }
    for task in before.keys().filter(|id| !kept.contains(id)) {
        // Needs are in the document: what still names it is refused.
        let dependants = Dependants::Keep;
        changes.push(
            0,
            PlanEdit::Drop {
                task: *task,
                dependants,
            },
        );
    }
    let still: BTreeSet<TaskId> = kept.iter().copied().collect();
    let order = plan.tasks.iter().map(|t| t.id).filter(|id| still.contains(id));
    if !order.eq(kept.iter().copied()) {
        changes.push(0, PlanEdit::Order(kept));
    }
    Ok(changes)
}

fn difference(task: &PlanTask, entry: Entry) -> TaskChange {
    let same_needs = task
        .needs
        .iter()
        .map(ToString::to_string)
        .collect::<BTreeSet<_>>()
        == entry.needs.iter().map(|n| n.trim().to_owned()).collect();
    TaskChange {
        title: (entry.title != task.title).then_some(entry.title),
        brief: (entry.text != task.text).then_some(entry.text),
        acceptance: (entry.accept != task.acceptance).then_some(entry.accept),
        needs: (!same_needs).then_some(entry.needs),
        touches: (entry.paths != task.paths).then_some(entry.paths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> Vec<(String, String)> {
        let tasks = list(text).unwrap();
        tasks.into_iter().map(|t| (t.title, t.brief)).collect()
    }

    #[test]
    fn a_list_is_markdown_toml_or_json() {
        let told = vec![
            ("A".to_owned(), "more".to_owned()),
            ("B".to_owned(), String::new()),
        ];
        assert_eq!(titles("# Parts\n\n- A\n  more\n- B\n"), told);
        assert_eq!(titles("1. A\n   more\n2. B\n"), told);
        assert_eq!(
            titles("[[task]]\ntitle = 'A'\ntext = 'more'\n[[task]]\ntitle = 'B'\n"),
            told
        );
        assert_eq!(
            titles(r#"[{"title": "A", "text": "more"}, {"title": "B"}]"#),
            told
        );
        assert!(list("Something else").unwrap_err().contains("line 1"));
        assert!(list("[[task]]\ntitel = 'A'\n").unwrap_err().contains("titel"));
    }

    fn plan() -> PlanView {
        let task = |number: u16, text: &str, open| PlanTask {
            id: format!("7.{number}").parse().unwrap(),
            title: format!("Part {number}"),
            text: text.to_owned(),
            acceptance: vec!["it \"works\"".to_owned()],
            needs: Vec::new(),
            paths: vec!["src/{a,b}/**".to_owned()],
            writer: Role::Engineer,
            size: Size::Medium,
            by: turno_core::plan::edit::Origin::Team,
            stage: turno_core::view::StageName::Blocked,
            detail: "waits\nfor others".to_owned(),
            waiting: None,
            open,
            critical: false,
        };
        PlanView {
            issue: "7".parse().unwrap(),
            title: "All of it\n[[task]]".to_owned(),
            version: turno_core::plan::edit::PlanVersion(3),
            closed: None,
            tasks: vec![
                task(1, "landed", Open::Nothing),
                task(
                    2,
                    "\"\"\" '\'\' \\ \t\r\n\u{1b}[31m\u{0}ü\n\n[[task]]\nid = \"7.1\"\n",
                    Open::Everything,
                ),
                task(3, "", Open::Words),
            ],
            critical_path: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_and_not_changed_changes_nothing() {
        let plan = plan();
        let text = write(&plan);
        assert_eq!(read(&text, &plan).unwrap(), Changes::default(), "{text}");
        assert_eq!(read("", &plan).unwrap(), Changes::default(), "an empty file");
    }

    #[test]
    fn each_change_of_a_document_is_an_edit_with_its_line() {
        let plan = plan();
        let short =
            "[[task]]\ntitle = 'New'\nneeds = ['7.3']\n\n[[task]]\nid = '7.3'\ntitle = 'Part three'\n";
        let changes = read(short, &plan).unwrap();
        assert_eq!(changes.lines, [1, 5, 0]);
        let [
            PlanEdit::Add(new),
            PlanEdit::Change { task, to, .. },
            PlanEdit::Drop { task: gone, .. },
        ] = &changes.edits[..]
        else {
            panic!("{changes:?}")
        };
        assert_eq!(
            (new.title.as_str(), &new.needs[..]),
            ("New", &["7.3".to_owned()][..])
        );
        assert_eq!(
            (task.to_string(), gone.to_string()),
            ("7.3".to_owned(), "7.2".to_owned())
        );
        assert_eq!(to.title.as_deref(), Some("Part three"));
        assert_eq!(to.acceptance, Some(vec![]), "what is taken out is taken out");
        assert_eq!(to.brief, None);
        for (wrong, why) in [
            ("[[task]]\nid = '7.1'\ntitle = 'x'\n", "line 1: 7.1 is no task"),
            (
                "\n[[task]]\nid = '7.3'\n[[task]]\nid = '7.3'\n",
                "line 4: 7.3 is there twice",
            ),
            ("[[task]]\nid = 'x'\n", "line 1"),
            ("[[task]\n", "line 1"),
        ] {
            assert!(read(wrong, &plan).unwrap_err().contains(why), "{wrong}");
        }
    }
}
