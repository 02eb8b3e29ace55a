//! Owns the names of the variables of templates, with one line of words each. The strict reader knows no others,
//! and a test holds the documentation against them. Their values are `context.rs`'s.

/// A variable that a template may use. `[]` in its path stands for one element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its path, with dots.
    pub path: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
}

const fn var(path: &'static str, doc: &'static str) -> Variable {
    Variable { path, doc }
}

/// All variables, in the order people read them.
pub const VARIABLES: &[Variable] = &[
    var("persona.name", "the persona's name"),
    var("persona.role", "author, engineer, reviewer or tester"),
    var("persona.access", "what it may do to files: read, tests or write"),
    var("persona.budget", "what one attempt may spend, like $2.00"),
    var("persona.wall_clock", "how long one attempt may take, like 45m"),
    var("issue.id", "the issue's id, like 7"),
    var("issue.title", "one line, from outside"),
    var("issue.body", "the issue in the person's words, from outside"),
    var("task.id", "the task's id, like 7.2"),
    var("task.title", "one line, from outside"),
    var("task.brief", "what is to be done, from outside"),
    var("task.acceptance", "a list: what must be true afterwards"),
    var(
        "task.touches",
        "a list of path globs that may be written; empty means anywhere",
    ),
    var("round", "which attempt on this task it is, counted from 1"),
    var(
        "notes",
        "a list: facts about the slot, like the ports that are its own",
    ),
    var(
        "test_paths",
        "a list of globs of the paths that a tester may write; empty means none",
    ),
    var(
        "diff_stat",
        "for a judge: what changed, as `git diff --stat` shows it",
    ),
    var(
        "handoffs",
        "a list: what the landed tasks that this one needs have left",
    ),
    var("handoffs[].task", "the task's id"),
    var(
        "handoffs[].text",
        "goal, summary, paths, evidence, open questions and notes, from outside",
    ),
    var("others", "a list: tasks of the same issue that others are at now"),
    var("others[].task", "the task's id"),
    var(
        "others[].text",
        "its title and the paths it may write, from outside",
    ),
    var(
        "answers",
        "a list: questions asked for this task, with their answers",
    ),
    var("answers[].question", "the question, from outside"),
    var("answers[].answer", "the answer, from outside"),
    var(
        "remarks",
        "a list: what a person said about the task and whoever is asked was not told before",
    ),
    var(
        "remarks[].place",
        "file and line, like src/lib.rs:7; empty for the task as a whole",
    ),
    var(
        "remarks[].commit",
        "the commit that the person looked at; may be empty",
    ),
    var("remarks[].words", "the person's words"),
    var(
        "lessons",
        "a list: what earlier work on these paths has taught, as a person kept it",
    ),
    var(
        "lessons[].text",
        "the lesson, its paths and what showed it, from outside",
    ),
    var(
        "ask.kind",
        "write, tests-first, test, review, compare, plan, try or accept",
    ),
    var(
        "ask.checks",
        "for writing and planning: a list of the commands that will be run on a change",
    ),
    var(
        "ask.because.kind",
        "why. For writing: new, interrupted, checks-failed, findings, conflict, tests-first, tests-pass-already, \
         make-pass, out-of-bounds, guarded, answered or remarked. For planning: new, proposals, stuck or missing",
    ),
    var(
        "ask.because.paths",
        "make-pass: a list of the frozen tests; out-of-bounds: a list of what may not be changed",
    ),
    var(
        "ask.because.rule",
        "out-of-bounds: frozen-tests or tests-only; guarded: policy or person",
    ),
    var(
        "ask.because.found",
        "guarded: a list of what was found and does not land",
    ),
    var("ask.because.found[].kind", "what kind, by its name in policies"),
    var(
        "ask.because.found[].place",
        "where: file and line, or the name of what has no path",
    ),
    var("ask.because.found[].what", "what it is"),
    var("ask.because.found[].mend", "what can be done about it"),
    var(
        "ask.because.errors",
        "for planning: a list of what was wrong with the last plan; empty when it is the first",
    ),
    var(
        "ask.because.stuck",
        "stuck: a list of ids of tasks that wait for a person",
    ),
    var(
        "ask.because.missing",
        "missing: a list of what is missing, from outside",
    ),
    var("ask.because.cause", "interrupted: the cause, like wall-clock"),
    var("ask.because.phrase", "interrupted: the cause in words"),
    var(
        "ask.because.detail",
        "interrupted: what exactly, from outside; guarded: what the person said",
    ),
    var(
        "ask.because.failing",
        "checks-failed and make-pass: a list of the checks that were not green",
    ),
    var("ask.because.failing[].name", "the check's name"),
    var("ask.because.failing[].verdict", "failed or could-not-run"),
    var(
        "ask.because.failing[].output",
        "the useful part of its output, or why it could not run",
    ),
    var("ask.because.by", "findings: the persona that sent it back"),
    var("ask.because.findings", "findings: a list of what is to be mended"),
    var("ask.because.findings[].file", "the file"),
    var(
        "ask.because.findings[].line",
        "the line; 0 means the file as a whole",
    ),
    var("ask.because.findings[].place", "file and line, like src/lib.rs:7"),
    var("ask.because.findings[].severity", "note, major or critical"),
    var("ask.because.findings[].what", "what is wrong"),
    var("ask.because.findings[].how_to_see", "how to see it; may be empty"),
    var(
        "ask.because.beside",
        "checks-failed and conflict: a list of what has landed meanwhile: the other side",
    ),
    var("ask.because.beside[].task", "its task"),
    var("ask.because.beside[].goal", "what it was for, in one line"),
    var(
        "ask.because.beside[].summary",
        "what it changed, in its writer's words",
    ),
    var("ask.because.commit", "conflict: the commit that does not apply"),
    var("ask.because.hunks", "conflict: a list of the places"),
    var("ask.because.hunks[].file", "the file"),
    var(
        "ask.because.hunks[].text",
        "the conflicting part with its markers",
    ),
    var(
        "ask.commit",
        "for a judge: the commit to judge; for a trial and acceptance: the head of the integration branch",
    ),
    var("ask.base", "for a judge: the commit to compare with"),
    var(
        "ask.results",
        "for a test and a review: a list of what the checks showed; empty when there are none",
    ),
    var("ask.results[].name", "the check's name"),
    var("ask.results[].verdict", "passed, flaky, failed or could-not-run"),
    var("ask.results[].took", "how long it took, like 12s"),
    var(
        "ask.earlier",
        "for a review: a list of findings of earlier rounds, with the same parts as above",
    ),
    var("ask.earlier[].file", "the file"),
    var("ask.earlier[].line", "the line; 0 means the file as a whole"),
    var("ask.earlier[].place", "file and line, like src/lib.rs:7"),
    var("ask.earlier[].severity", "note, major or critical"),
    var("ask.earlier[].what", "what was wrong"),
    var("ask.earlier[].how_to_see", "how to see it; may be empty"),
    var(
        "ask.protected",
        "for a review: a list of paths that need an explicit approval",
    ),
    var(
        "ask.guards",
        "for a review: a list of what was found about the change, with the same parts as above",
    ),
    var("ask.guards[].kind", "what kind, by its name in policies"),
    var(
        "ask.guards[].place",
        "where: file and line, or the name of what has no path",
    ),
    var("ask.guards[].what", "what it is"),
    var("ask.guards[].mend", "what can be done about it"),
    var(
        "ask.rule",
        "for a test: pass, or fail-on-base where new tests must also fail on the base",
    ),
    var(
        "ask.candidates",
        "for a choice: a list of the changes to choose from",
    ),
    var("ask.candidates[].task", "the candidate's task id, which names it"),
    var("ask.candidates[].commit", "its commit"),
    var("ask.candidates[].paths", "a list of the paths it changes"),
    var(
        "ask.candidates[].results",
        "a list of what the checks showed, with the same parts as above",
    ),
    var("ask.candidates[].results[].name", "the check's name"),
    var(
        "ask.candidates[].results[].verdict",
        "passed, flaky, failed or could-not-run",
    ),
    var("ask.candidates[].results[].took", "how long it took, like 12s"),
    var("ask.room", "for planning: how many tasks the issue may still get"),
    var(
        "ask.tasks",
        "for planning and acceptance: a list of the tasks there are",
    ),
    var("ask.tasks[].task", "the task's id"),
    var(
        "ask.tasks[].standing",
        "not begun, at work, parked, landed or dropped",
    ),
    var(
        "ask.tasks[].text",
        "its title, its paths, and what it left or why it waits, from outside",
    ),
    var(
        "ask.proposals",
        "for planning: a list of proposals to be answered",
    ),
    var("ask.proposals[].id", "the proposal's id, like p1"),
    var("ask.proposals[].by", "the persona that proposed it"),
    var("ask.proposals[].during", "the id of the task it was at work on"),
    var(
        "ask.proposals[].text",
        "title, what is to be done, why, and the paths, from outside",
    ),
    var("ask.trial.kind", "for acceptance: untried, approved or findings"),
    var("ask.trial.by", "the persona that tried it"),
    var(
        "ask.trial.findings",
        "a list of what it found, or of its notes, with the same parts as above",
    ),
    var("ask.trial.findings[].file", "the file"),
    var(
        "ask.trial.findings[].line",
        "the line; 0 means the file as a whole",
    ),
    var("ask.trial.findings[].place", "file and line, like src/lib.rs:7"),
    var("ask.trial.findings[].severity", "note, major or critical"),
    var("ask.trial.findings[].what", "what is wrong"),
    var("ask.trial.findings[].how_to_see", "how to see it; may be empty"),
];
