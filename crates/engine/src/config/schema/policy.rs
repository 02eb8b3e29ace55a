//! Owns the names of the keys of policy files, with one line of words each.

use super::{Schema, key};

/// The keys of a policy file.
pub const POLICY: Schema = Schema(&[
    key("description", "one line for people"),
    key("review", "whether each change needs an approval: required or off"),
    key(
        "unchecked",
        "what happens in a project without checks: refuse or land-on-review",
    ),
    key(
        "check_reruns",
        "how often a red check is run again at the same tree, to see whether it is flaky",
    ),
    key(
        "silence",
        "quiet for this long, an agent is reminded, where it can be",
    ),
    key(
        "silence_hard",
        "quiet for this long, it is stopped and tried again; not set: twice `silence`",
    ),
    key(
        "longest_command",
        "quiet for this long while a command runs or its processes are busy, it is stopped",
    ),
    key(
        "no_progress",
        "talking for this long without the use of a tool or a changed file, it is stopped",
    ),
    key(
        "least_start_usd",
        "an attempt is not started with less money than this",
    ),
    key("longest_wait", "the longest wait between two tries"),
    key("plan", "who splits an issue into tasks: single, author or checks"),
    key(
        "red_base",
        "what happens to a change whose checks are red without it too: writer, block or task",
    ),
    key(
        "landing.batch",
        "so many changes of one issue that wait at the same time are landed together; 1 for one by one",
    ),
    key(
        "landing.follow",
        "how an issue's branch keeps up with the branch it began on: merge, rebase or off",
    ),
    key(
        "landing.clashes",
        "what is made of conflicts that are seen coming: ignore, tell, order or return",
    ),
    key("caps.tasks", "how many tasks one issue may get in all"),
    key(
        "caps.depth",
        "how far a proposed task may be from the plan: one proposed during a planned task has depth 1",
    ),
    key(
        "caps.rounds",
        "how often an issue that is not accepted is planned again",
    ),
    key("caps.repairs", "how often a plan that is not valid is sent back"),
    key(
        "caps.failures",
        "failures of one issue, of every cause and all its tasks, after which the task that fails is parked",
    ),
    key("tests", "when a tester has its turn: off, each-change or first"),
    key(
        "new_tests",
        "what a tester's tests must show: pass, or fail-on-base where they must also fail without the change",
    ),
    key("test_paths", "globs of the paths that a tester may write"),
    key(
        "protected",
        "globs of the paths whose change needs a reviewer's explicit approval",
    ),
    key("big_file_bytes", "bytes over which a new or changed file is big"),
    key(
        "guards.paths",
        "rule for the paths of `protected`: allow, reviewer, person or refuse",
    ),
    key(
        "guards.ci",
        "rule for what a CI service runs: allow, reviewer, person or refuse",
    ),
    key(
        "guards.hooks",
        "rule for what runs by itself on a person's machine: allow, reviewer, person or refuse",
    ),
    key(
        "guards.lockfiles",
        "rule for the versions of dependencies: allow, reviewer, person or refuse",
    ),
    key(
        "guards.check-settings",
        "rule for the settings of linters, formatters and test runners: allow, reviewer, person or refuse",
    ),
    key(
        "guards.licence",
        "rule for licences and notices: allow, reviewer, person or refuse",
    ),
    key(
        "guards.agent-files",
        "rule for what agents and Turno are told: allow, reviewer, person or refuse",
    ),
    key(
        "guards.tests",
        "rule for tests deleted or switched off: allow, reviewer, person or refuse",
    ),
    key(
        "guards.binaries",
        "rule for files that are not text: allow, reviewer, person or refuse",
    ),
    key(
        "guards.big-files",
        "rule for files over big_file_bytes: allow, reviewer, person or refuse",
    ),
    key(
        "guards.secrets",
        "rule for keys and tokens: allow, reviewer, person or refuse",
    ),
    key(
        "guards.links",
        "rule for symbolic links that lead out of the repository: allow, reviewer, person or refuse",
    ),
    key(
        "guards.submodules",
        "rule for submodules: allow, reviewer, person or refuse",
    ),
    key(
        "guards.executables",
        "rule for files that may be executed and could not before: allow, reviewer, person or refuse",
    ),
    key(
        "guards.hidden-text",
        "rule for characters that nobody sees or that change the order of text: allow, reviewer, person or refuse",
    ),
    key(
        "guards.unseen",
        "rule for what could not be looked at: allow, reviewer, person or refuse",
    ),
    key("accept", "who says that an issue is done: off, author or team"),
    key(
        "overlap",
        "what tasks that may write the same paths do: wait or start",
    ),
    key(
        "decisions.nobody",
        "what happens to a question that nobody answers: park, wait or recommended",
    ),
    key(
        "decisions.deadline",
        "how long an agent may wait for an answer in its slot",
    ),
    key(
        "trial",
        "who lets the rest of a batch follow its trial group: person or all-landed",
    ),
    key(
        "rows.*.tries",
        "how often the cause may happen to a task before a person is asked",
    ),
    key(
        "rows.*.wait",
        "wait before the first retry, doubled for each further one",
    ),
    key(
        "rows.*.jitter",
        "which part of the wait is waited: full for a tenth to all of it, by chance, or none for all of it",
    ),
    key(
        "rows.*.charge",
        "who bears the failure: task, or account to close the agent's account for the wait",
    ),
    key(
        "rows.*.then",
        "how the task goes on: retry, other-agent, or fresh-session from the second time on",
    ),
    key(
        "accounts.failing_starts",
        "so many starts of an agent may fail in a row, over all tasks, before its account is closed",
    ),
    key(
        "accounts.within",
        "within this time; and no closed account is tried sooner",
    ),
    key(
        "accounts.wait",
        "how long it is closed then, doubled each time the one trial after it fails",
    ),
    key(
        "accounts.rounds",
        "how often in a row it is closed so before it stays closed for the shift",
    ),
    key(
        "accounts.pace",
        "from one start to the next once the provider wanted fewer requests, doubled each time it says so again",
    ),
    key(
        "accounts.ease",
        "after this time the pause between starts is halved, and in the end given up",
    ),
    key(
        "accounts.longest_quota_wait",
        "the longest that a told time is believed",
    ),
]);
