//! Owns what there is to read about an issue or a task: why it stands where it stands, what was said last, what it
//! has changed. It tells what the core tells, and draws nothing.

use turno_core::State;
use turno_core::conversation::{Speaker, conversation};
use turno_core::explain::explain;
use turno_core::ids::{IssueId, TaskId};
use turno_core::issue::IssueDraft;
use turno_core::record::Record;
use turno_core::view::{self, TaskView, waiting_phrase};
use turno_engine::git::DiffText;

use super::feed;
use super::frame::{Subject, Tone};
use super::text::clean;
use super::ui::Paper;
use crate::args::Subject as Typed;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::diff;

/// So many lines of a story are shown, the latest ones.
const STORY: usize = 200;
/// So many words of a conversation.
const SAID: usize = 12;
/// So many bytes of a diff; `turno diff` shows more.
const DIFF: usize = 1 << 20;

type Lines = Vec<(String, Tone)>;

/// Why something stands where it stands.
pub(super) async fn explained(scene: &Scene, state: &State, subject: Subject) -> Result<Paper, Failure> {
    let mut lines = Lines::new();
    match subject {
        Subject::Issue(id) => issue(scene, state, id, &mut lines),
        Subject::Task(id) => {
            let (records, _) = feed::all(&scene.dirs).await?;
            task(scene, state, id, &records, &mut lines);
        }
    }
    Ok(Paper::new(name(subject), lines))
}

/// What something has changed.
pub(super) fn changed(scene: &Scene, state: &State, subject: Subject) -> Result<Paper, Failure> {
    let (repo, base, commit) = diff::range(scene, state, typed(subject))?;
    let mut lines = Lines::new();
    let (text, cut) = match repo.diff_text(&base, &commit, DIFF)? {
        DiffText::Whole(text) => (text, false),
        DiffText::Shortened { text, .. } => (text, true),
    };
    if text.trim().is_empty() {
        lines.push(("it has changed nothing".to_owned(), Tone::Faint));
    }
    for line in text.lines() {
        let tone = match line.chars().next() {
            Some('+') => Tone::Good,
            Some('-') => Tone::Bad,
            Some('@') => Tone::Attention,
            Some('d' | 'i') => Tone::Strong,
            Some(_) | None => Tone::Plain,
        };
        lines.push((whole(line), tone));
    }
    if cut {
        lines.push((format!("… more of it: `{}`", command(subject)), Tone::Attention));
    }
    Ok(Paper::new(
        format!("{}: {}", name(subject), command(subject)),
        lines,
    ))
}

fn typed(subject: Subject) -> Typed {
    match subject {
        Subject::Issue(id) => Typed::Issue(id),
        Subject::Task(id) => Typed::Task(id),
    }
}

fn name(subject: Subject) -> String {
    match subject {
        Subject::Issue(id) => format!("issue {id}"),
        Subject::Task(id) => format!("task {id}"),
    }
}

fn command(subject: Subject) -> String {
    match subject {
        Subject::Issue(id) => format!("turno diff {id}"),
        Subject::Task(id) => format!("turno diff {id}"),
    }
}

/// A line with its spaces, harmless, and not longer than anybody reads.
fn whole(line: &str) -> String {
    let some: String = line.chars().take(1000).collect();
    print::harmless(&some.replace('\t', "    ")).replace('\n', " ")
}

fn head(lines: &mut Lines, text: &str) {
    lines.push((String::new(), Tone::Plain));
    lines.push((text.to_owned(), Tone::Strong));
}

fn issue(scene: &Scene, state: &State, id: IssueId, lines: &mut Lines) {
    let (Some(issue), Some(seen)) = (state.issues.get(&id), view::issue(state, id)) else {
        return;
    };
    lines.push((clean(&seen.title, 400), Tone::Strong));
    let stage = crate::verb::issue::stage_word(&seen.stage);
    let cost = print::dollars(seen.cost);
    lines.push((format!("{stage}, cost {cost}"), Tone::Plain));
    if let Some(alarm) = seen.following.alarm_phrase() {
        lines.push((clean(&alarm, 1000), Tone::Bad));
    }
    wanted(&issue.draft, lines);
    for task in &seen.tasks {
        head(lines, &format!("task {} {}", task.id, clean(&task.title, 200)));
        stands(task, lines);
    }
    stat(scene, state, Typed::Issue(id), lines);
}

fn wanted(draft: &IssueDraft, lines: &mut Lines) {
    if !draft.body.trim().is_empty() {
        lines.push((String::new(), Tone::Plain));
    }
    lines.extend(draft.body.lines().take(200).map(|l| (whole(l), Tone::Plain)));
    for criterion in &draft.acceptance {
        lines.push((format!("  [ ] {}", clean(criterion, 400)), Tone::Plain));
    }
}

fn stands(task: &TaskView, lines: &mut Lines) {
    let (attempts, cost) = (task.attempts, print::dollars(task.cost));
    lines.push((
        format!("{}, {attempts} attempt(s), {cost}", clean(&task.detail, 600)),
        Tone::Plain,
    ));
    if let Some(why) = &task.waiting {
        lines.push((
            format!("waits: {}", clean(&waiting_phrase(why), 600)),
            Tone::Attention,
        ));
    }
}

fn task(scene: &Scene, state: &State, id: TaskId, records: &[Record], lines: &mut Lines) {
    let seen = view::issue(state, id.issue);
    let Some(seen) = seen.iter().flat_map(|i| &i.tasks).find(|t| t.id == id) else {
        lines.push((format!("there is no task {id} any more"), Tone::Plain));
        return;
    };
    lines.push((clean(&seen.title, 400), Tone::Strong));
    stands(seen, lines);
    stat(scene, state, Typed::Task(id), lines);
    let story = explain(records, id);
    head(lines, "why");
    for told in story.iter().skip(story.len().saturating_sub(STORY)) {
        let at = print::clock(told.at);
        lines.push((format!("{at}  {}", clean(&told.what, 600)), Tone::Plain));
        lines.push((
            format!("          \u{2192} {}", clean(&told.so, 600)),
            Tone::Plain,
        ));
        for note in told.notes.iter().chain(&told.evidence).take(20) {
            lines.push((format!("            {}", clean(note, 400)), Tone::Faint));
        }
    }
    let said = conversation(records, id);
    if !said.is_empty() {
        head(lines, "what was said last");
    }
    for turn in said.iter().skip(said.len().saturating_sub(SAID)) {
        let by = match &turn.by {
            Speaker::Agent { persona, agent, .. } => format!("{persona}/{agent}"),
            Speaker::Checks => "checks".to_owned(),
            Speaker::Landing => "landing".to_owned(),
            Speaker::Person => "you".to_owned(),
        };
        let at = print::clock(turn.at);
        lines.push((
            format!("{at}  {}: {}", clean(&by, 60), clean(&turn.says, 1000)),
            Tone::Plain,
        ));
        for more in turn.more.iter().flat_map(|m| m.lines()).take(20) {
            lines.push((format!("            {}", clean(more, 400)), Tone::Faint));
        }
    }
}

/// The files that were changed. Where there is nothing yet, nothing is said.
fn stat(scene: &Scene, state: &State, subject: Typed, lines: &mut Lines) {
    let Ok((repo, base, commit)) = diff::range(scene, state, subject) else {
        return;
    };
    let (Ok(stat), Ok(files)) = (repo.diff_stat(&base, &commit), repo.changed_files(&base, &commit)) else {
        return;
    };
    head(lines, &format!("changed: {}", clean(&stat.to_string(), 200)));
    lines.extend(
        files
            .iter()
            .take(50)
            .map(|f| (format!("  {}", clean(f, 300)), Tone::Plain)),
    );
    if files.len() > 50 {
        lines.push((format!("  and {} more", files.len() - 50), Tone::Faint));
    }
}
