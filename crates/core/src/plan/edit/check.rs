//! Owns whether what a person changes in a plan is sound, and what it comes to. It changes no state.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dependants, Edited, Flaw, Origin, PlanEdit, Running, TaskChange, closed};
use crate::State;
use crate::globs;
use crate::ids::TaskId;
use crate::issue::Issue;
use crate::outcome::PlannedTask;
use crate::persona::Role;
use crate::plan::{Needs, is_unbegun, order_overlaps, path_back, room};
use crate::policy::PlanCaps;
use crate::task::{Stage, Task, TaskSpec};

/// No task has more text than this, in bytes.
const TEXT: usize = 64 * 1024;

/// Holds a person's request against the issue it is for.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(state: &State, issue: &Issue, caps: PlanCaps, edits: &[PlanEdit]) -> Result<Edited, Vec<Flaw>> {
    let mut check = Check {
        state,
        issue,
        at: 0,
        flaws: Vec::new(),
        next: issue.next_task,
        keys: BTreeMap::new(),
        needs: state
            .pieces_of(issue.id)
            .filter(|t| !t.is_over())
            .map(|t| (t.id, t.spec.needs.clone()))
            .collect(),
        parts: BTreeMap::new(),
        split: edits.iter().filter_map(PlanEdit::splits).collect(),
        dropped: edits.iter().filter_map(PlanEdit::drops).collect(),
        of: BTreeMap::new(),
        edited: Edited::default(),
    };
    if let Some(why) = closed(issue) {
        return Err(vec![Flaw { edit: 0, why }]);
    }
    if edits.is_empty() {
        return Err(vec![Flaw {
            edit: 0,
            why: "nothing of the plan changes".to_owned(),
        }]);
    }
    check.each(edits, Check::names);
    check.each(edits, Check::edit);
    check.whole(caps);
    if !check.flaws.is_empty() {
        return Err(check.flaws);
    }
    let mut edited = check.edited;
    order_overlaps(&mut edited.added, &mut check.needs);
    late_enough(state, &mut edited, &check.needs);
    Ok(edited)
}

/// No task of a batch is in an earlier group than one that it needs: that group would wait for a later one without end.
fn late_enough(state: &State, edited: &mut Edited, needs: &Needs) {
    let group = |edited: &Edited, id: &TaskId| {
        let new = edited
            .added
            .iter()
            .find(|(new, _)| new == id)
            .map(|(_, spec)| spec);
        let spec = new
            .or_else(|| edited.specs.get(id))
            .or_else(|| state.tasks.get(id).map(|t| &t.spec));
        spec.map_or(0, |s| s.wave)
    };
    // Each round ends at least one chain of needs, and there is no circle.
    for _ in 0..needs.len() {
        let mut later = false;
        for (id, needed) in needs {
            let wave = needed.iter().map(|n| group(edited, n)).max().unwrap_or(0);
            if group(edited, id) >= wave {
                continue;
            }
            later = true;
            if let Some((_, spec)) = edited.added.iter_mut().find(|(new, _)| new == id) {
                spec.wave = wave;
            } else if let Some(task) = state.tasks.get(id) {
                edited.specs.entry(*id).or_insert_with(|| task.spec.clone()).wave = wave;
            }
        }
        if !later {
            return;
        }
    }
}

struct Check<'a> {
    state: &'a State,
    issue: &'a Issue,
    /// Which edit is looked at.
    at: usize,
    flaws: Vec<Flaw>,
    /// The number of the next new task.
    next: u16,
    keys: BTreeMap<&'a str, TaskId>,
    /// What each task of the issue needs.
    needs: Needs,
    /// What has come in place of a task.
    parts: BTreeMap<TaskId, BTreeSet<TaskId>>,
    /// Those that the request splits, and those that it drops.
    split: BTreeSet<TaskId>,
    dropped: BTreeSet<TaskId>,
    /// The edit that a task's needs come of.
    of: BTreeMap<TaskId, usize>,
    edited: Edited,
}

impl<'a> Check<'a> {
    fn each(&mut self, edits: &'a [PlanEdit], what: impl Fn(&mut Self, &'a PlanEdit)) {
        for (at, edit) in edits.iter().enumerate() {
            self.at = at;
            what(self, edit);
        }
        self.next = self.issue.next_task;
    }

    fn wrong(&mut self, why: impl Into<String>) {
        let (edit, why) = (self.at, why.into());
        self.flaws.push(Flaw { edit, why });
    }

    fn number(&mut self) -> TaskId {
        let number = self.next;
        self.next = number.saturating_add(1);
        TaskId {
            issue: self.issue.id,
            number,
        }
    }

    /// New tasks get their ids first, so that any may need any.
    fn names(&mut self, edit: &'a PlanEdit) {
        let new: &[PlannedTask] = match edit {
            PlanEdit::Add(task) => std::slice::from_ref(task.as_ref()),
            PlanEdit::Split { into, .. } => into,
            PlanEdit::Change { .. } | PlanEdit::Drop { .. } | PlanEdit::Order(_) => &[],
        };
        for task in new {
            let id = self.number();
            let key = task.key.trim();
            if key.is_empty() {
                self.wrong(format!("the task \"{}\" has no key", task.title));
            } else if key.parse::<TaskId>().is_ok() {
                self.wrong(format!(
                    "the key `{key}` looks like the id of a task; choose a word"
                ));
            } else if self.keys.insert(key, id).is_some() {
                self.wrong(format!("two tasks have the key `{key}`"));
            }
        }
    }

    fn edit(&mut self, edit: &'a PlanEdit) {
        match edit {
            PlanEdit::Add(task) => {
                let id = self.number();
                self.new_task(id, task, TaskSpec::default());
            }
            PlanEdit::Split { task, into, running } => self.split(*task, into, *running),
            PlanEdit::Change { task, to, running } => self.change(*task, to, *running),
            PlanEdit::Drop { task, dependants } => self.drop(*task, *dependants),
            PlanEdit::Order(tasks) => self.order(tasks),
        }
    }

    /// A task of the issue on which something can still change.
    fn open(&mut self, id: TaskId) -> Option<&'a Task> {
        let task = self.state.tasks.get(&id).filter(|_| id.issue == self.issue.id);
        let why = match task.map(|t| (&**t, &t.stage)) {
            Some(_) if self.parts.contains_key(&id) || self.edited.dropped.iter().any(|(d, _)| *d == id) => {
                format!("task {id} is given up by the same request")
            }
            None => format!(
                "there is no task {id} in issue {0}; `turno plan {0}` shows those there are",
                self.issue.id
            ),
            Some(_) if id.is_lead() => {
                format!("{id} is the issue's own task, on which it is planned and accepted; it stays")
            }
            Some((_, Stage::Landed { .. } | Stage::Accepted { .. })) => {
                format!(
                    "task {id} has landed; it is part of its issue's branch now; add a task that changes it again"
                )
            }
            Some((_, Stage::Dropped { .. })) => format!("task {id} is given up already"),
            Some((task, _)) => return Some(task),
        };
        self.wrong(why);
        None
    }

    /// The spec of a task as the request has it so far.
    fn spec(&self, task: &Task) -> TaskSpec {
        self.edited.specs.get(&task.id).unwrap_or(&task.spec).clone()
    }

    fn split(&mut self, id: TaskId, into: &'a [PlannedTask], running: Running) {
        let ids: BTreeSet<TaskId> = into.iter().map(|_| self.number()).collect();
        let Some(task) = self.open(id) else { return };
        if into.len() < 2 {
            return self.wrong(format!("{id} is split into two tasks or more"));
        }
        if task.spec.contest.is_some() || !task.spec.repairs.is_empty() {
            return self.wrong(format!(
                "{id} is one of several candidates, or mends a check, and cannot be split; drop it and add others"
            ));
        }
        if task.run().is_some() && running == Running::Finish {
            return self.wrong(format!(
                "{id} is being worked on; with `--stop` it is stopped, its work kept, and split"
            ));
        }
        let whole = self.spec(task);
        for needed in self.needs.values_mut() {
            if needed.remove(&id) {
                needed.extend(ids.iter().copied());
            }
        }
        self.needs.remove(&id);
        for (part, new) in ids.iter().zip(into) {
            let from = TaskSpec {
                needs: whole.needs.clone(),
                touches: whole.touches.clone(),
                depth: whole.depth,
                wave: whole.wave,
                rank: whole.rank,
                ..TaskSpec::default()
            };
            self.new_task(*part, new, from);
        }
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let why = format!("a person split it into {}", names.join(", "));
        self.edited.dropped.push((id, why));
        self.parts.insert(id, ids);
        self.follow_needs();
    }

    fn new_task(&mut self, id: TaskId, new: &'a PlannedTask, from: TaskSpec) {
        let name = new.title.trim();
        if !matches!(new.writer, Role::Engineer | Role::Tester) {
            self.wrong(format!(
                "only an engineer or a tester writes a task, not the {}",
                new.writer
            ));
        }
        let mut needs = self.named(name, &new.needs);
        // What the whole needed may be split or given up by the same request.
        needs.extend(from.needs.iter().copied());
        let brief = if new.brief.trim().is_empty() {
            name
        } else {
            &new.brief
        };
        let spec = TaskSpec {
            title: name.to_owned(),
            brief: brief.to_owned(),
            acceptance: told(&new.acceptance),
            needs: needs.clone(),
            touches: if new.touches.is_empty() {
                from.touches
            } else {
                new.touches.clone()
            },
            writer: new.writer,
            size: new.size,
            by: Origin::Person,
            ..from
        };
        self.words(&spec);
        self.needs.insert(id, needs);
        self.of.insert(id, self.at);
        self.edited.added.push((id, spec));
    }

    fn change(&mut self, id: TaskId, to: &'a TaskChange, running: Running) {
        let Some(task) = self.open(id) else { return };
        let before = self.spec(task);
        let mut spec = before.clone();
        if let Some(title) = &to.title {
            title.trim().clone_into(&mut spec.title);
        }
        spec.brief = to.brief.clone().unwrap_or(spec.brief);
        if spec.brief.trim().is_empty() {
            spec.brief.clone_from(&spec.title);
        }
        spec.acceptance = to.acceptance.as_deref().map_or(spec.acceptance, told);
        spec.touches = to.touches.clone().unwrap_or(spec.touches);
        if let Some(names) = &to.needs {
            let needs = self.named(&id.to_string(), names);
            if needs != spec.needs && !is_unbegun(task) {
                return self.wrong(format!("{id} has begun, so what it needs cannot change any more"));
            }
            self.needs.insert(id, needs.clone());
            spec.needs = needs;
            self.of.insert(id, self.at);
        }
        if spec == before {
            return;
        }
        self.words(&spec);
        let other_words = TaskSpec {
            needs: before.needs.clone(),
            ..spec.clone()
        } != before;
        if other_words && task.spec.contest.is_some() {
            return self.wrong(format!(
                "{id} competes with others that have the same words; drop it, or add a task"
            ));
        }
        if other_words && matches!(task.stage, Stage::Landing { .. }) {
            return self.wrong(format!(
                "{id} is being landed at this moment; add a task that changes it again"
            ));
        }
        spec.by = Origin::Person;
        self.edited.specs.insert(id, spec);
        if other_words {
            self.edited.reworded.push((id, running));
        }
    }

    fn drop(&mut self, id: TaskId, dependants: Dependants) {
        if self.open(id).is_none() {
            return;
        }
        let waiting: Vec<String> = self
            .needs
            .iter()
            .filter(|(other, needs)| needs.contains(&id) && !self.split.contains(other))
            .filter(|(other, _)| !self.dropped.contains(other))
            .map(|(other, _)| *other)
            .map(|other| other.to_string())
            .collect();
        if dependants == Dependants::Keep && !waiting.is_empty() {
            return self.wrong(format!(
                "{} cannot be dropped: {} need{} it; with `--rewire` they need what it needed",
                id,
                waiting.join(", "),
                if waiting.len() == 1 { "s" } else { "" }
            ));
        }
        let own = self.needs.remove(&id).unwrap_or_default();
        for needed in self.needs.values_mut() {
            if needed.remove(&id) {
                needed.extend(own.iter().copied());
            }
        }
        let why = "a person gave it up; it is not wanted any more".to_owned();
        self.edited.dropped.push((id, why));
        self.follow_needs();
    }

    fn order(&mut self, tasks: &'a [TaskId]) {
        // An order is the whole of it: what an earlier one said of others is over.
        let others = self
            .state
            .pieces_of(self.issue.id)
            .filter(|t| !t.is_over() && !tasks.contains(&t.id));
        for task in others {
            let mut spec = self.spec(task);
            if spec.rank.take().is_some() {
                self.edited.specs.insert(task.id, spec);
            }
        }
        for (at, id) in tasks.iter().enumerate() {
            let Some(task) = self.open(*id) else { continue };
            let mut spec = self.spec(task);
            spec.rank = Some(u16::try_from(at).unwrap_or(u16::MAX));
            self.edited.specs.insert(*id, spec);
        }
    }

    /// What a name in needs stands for; what has come in place of a task stands for it.
    fn named(&mut self, of: &str, names: &'a [String]) -> BTreeSet<TaskId> {
        let mut needs = BTreeSet::new();
        for name in names {
            let name = name.trim();
            let id = self.keys.get(name).copied().or_else(|| name.parse().ok());
            let parts = id.and_then(|id| self.parts.get(&id));
            match (id, parts) {
                (_, Some(parts)) => needs.extend(parts.iter().copied()),
                (Some(id), None) if self.will_land(id) => {
                    needs.insert(id);
                }
                (Some(_) | None, None) => self.wrong(format!(
                    "`{of}` needs `{name}`, which is no key of this request and no task of issue {} that will land",
                    self.issue.id
                )),
            }
        }
        needs
    }

    fn will_land(&self, id: TaskId) -> bool {
        let known = self.state.tasks.get(&id).map(|t| &t.stage);
        id.issue == self.issue.id
            && !id.is_lead()
            && !self.dropped.contains(&id)
            && known.map_or_else(
                || self.keys.values().any(|k| *k == id),
                |stage| !matches!(stage, Stage::Dropped { .. }),
            )
    }

    /// The specs follow the needs as they are now.
    fn follow_needs(&mut self) {
        for (id, needs) in &self.needs {
            if let Some((_, spec)) = self.edited.added.iter_mut().find(|(new, _)| new == id) {
                spec.needs.clone_from(needs);
            } else if let Some(task) = self.state.tasks.get(id)
                && (task.spec.needs != *needs || self.edited.specs.contains_key(id))
            {
                let spec = self.edited.specs.entry(*id).or_insert_with(|| task.spec.clone());
                spec.needs.clone_from(needs);
            }
        }
    }

    fn words(&mut self, spec: &TaskSpec) {
        let texts = || {
            [&spec.title, &spec.brief]
                .into_iter()
                .chain(&spec.acceptance)
                .chain(&spec.touches)
        };
        if spec.title.is_empty() {
            self.wrong("a task needs a title");
        }
        if spec.title.contains(['\n', '\r']) {
            self.wrong("a task's title is one line");
        }
        if texts().any(|t| t.contains('\0')) {
            self.wrong("a text must not hold a NUL character");
        }
        if texts().map(String::len).sum::<usize>() > TEXT {
            self.wrong(format!(
                "the task \"{:.40}\" has more than {TEXT} bytes of text",
                spec.title
            ));
        }
        for glob in &spec.touches {
            if let Err(why) = globs::check(glob) {
                self.wrong(format!("the paths of \"{:.40}\": {why}", spec.title));
            }
        }
    }

    /// What can only be said of all of it together: its size, and that it has an end.
    fn whole(&mut self, caps: PlanCaps) {
        let (more, room) = (self.edited.added.len(), room(self.state, self.issue, caps));
        if more > usize::from(room) {
            self.wrong(format!(
                "these are {more} tasks more, and issue {} may get {room}; the limit is `tasks` of its policy",
                self.issue.id
            ));
        }
        if !self.flaws.is_empty() {
            return;
        }
        for start in self.needs.keys() {
            if let Some(path) = path_back(*start, &self.needs) {
                let at = path
                    .iter()
                    .find_map(|id| self.of.get(id))
                    .copied()
                    .unwrap_or(self.at);
                let names: Vec<String> = path.iter().map(|id| self.name(*id)).collect();
                self.flaws.push(Flaw {
                    edit: at,
                    why: format!("the needs go round in a circle: {}", names.join(" -> ")),
                });
                return;
            }
        }
    }

    fn name(&self, id: TaskId) -> String {
        let key = self.keys.iter().find(|(_, known)| **known == id);
        key.map_or_else(|| id.to_string(), |(key, _)| (*key).to_owned())
    }
}

fn told(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|l| l.trim().to_owned())
        .filter(|l| !l.is_empty())
        .collect()
}
