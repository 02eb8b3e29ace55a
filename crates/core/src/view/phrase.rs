//! Owns the words for what a task does, what is next for it and why it does not run: one line each, the same for
//! every surface.

use crate::gate::Opens;
use crate::guard::GuardedBy;
use crate::ledger::Shortage;
use crate::room::MAKE_ROOM;
use crate::step::Waiting;
use crate::task::{AgentRun, Because, Bounds, Likeness, Park, PlanBecause, Stage, Task, Work};

/// What is next or under way for a task, in words. An issue's own task needs nobody's work: it waits for all of it.
pub fn task_phrase(task: &Task) -> String {
    if task.id.is_lead() && task.stage == Stage::Blocked {
        return "waits until its tasks are over".to_owned();
    }
    let stage = stage_phrase(&task.stage);
    if task.hold.is_held() && !task.is_over() {
        return format!("{stage}; {}", task.hold.phrase());
    }
    stage
}

/// A stage in words.
fn stage_phrase(stage: &Stage) -> String {
    match stage {
        Stage::Blocked => "waits for the tasks it needs".to_owned(),
        Stage::Ready { work, .. } => format!("ready: {}", work_phrase(work)),
        Stage::Writing { job, run } => format!(
            "{} ({}) writes in {} as {}{}",
            run.persona,
            run.agent,
            run.slot,
            run.run.attempt,
            because_phrase(&job.because)
        ),
        Stage::Checking { change, slot, run } => {
            format!(
                "checks run on {} in {slot} as {}",
                change.commit.short(),
                run.attempt
            )
        }
        Stage::Testing { proven, run } => acts(run, &format!("tests {}", proven.change.commit.short())),
        Stage::Reviewing { proven, run } => acts(run, &format!("reads {}", proven.change.commit.short())),
        Stage::Entered { .. } => "is proven and waits for the other candidates".to_owned(),
        Stage::Comparing { run, .. } => acts(run, "compares the candidates"),
        Stage::Surveying { commit, slot, run } => format!(
            "all checks run at {} in {slot} as {}",
            commit.short(),
            run.attempt
        ),
        Stage::Planning { because, run } => acts(run, &format!("plans{}", plan_phrase(because))),
        Stage::Trying { run } => acts(run, "goes through the acceptance list"),
        Stage::Accepting { run, .. } => acts(run, "looks for what is missing"),
        Stage::Accepted { commit, .. } => format!("nothing is missing at {}", commit.short()),
        Stage::Landing { approved, run } => {
            format!(
                "{} is being landed as {}",
                approved.proven.change.commit.short(),
                run.attempt
            )
        }
        Stage::Backoff { work, failure, .. } => {
            format!("waits to {} again: {}", work.verb(), failure_phrase(failure))
        }
        Stage::Parked { park, .. } => park_phrase(park),
        Stage::Landed { commit, .. } => format!("landed as {}", commit.short()),
        Stage::Dropped { why } => format!("dropped: {why}"),
    }
}

fn acts(run: &AgentRun, what: &str) -> String {
    format!(
        "{} ({}) {what} in {} as {}",
        run.persona, run.agent, run.slot, run.run.attempt
    )
}

fn plan_phrase(because: &PlanBecause) -> String {
    match because {
        PlanBecause::New => String::new(),
        PlanBecause::Invalid { errors, .. } => {
            format!(
                ", again because {}",
                errors.first().map_or("it was not valid", String::as_str)
            )
        }
        PlanBecause::Proposals => ", to answer proposed tasks".to_owned(),
        PlanBecause::Stuck { tasks } => {
            let names: Vec<_> = tasks.iter().map(ToString::to_string).collect();
            format!(", to get around {}", names.join(", "))
        }
        PlanBecause::Missing { missing } => format!(", for {} thing(s) that are missing", missing.len()),
    }
}

fn work_phrase(work: &Work) -> String {
    match work {
        Work::Write(job) => format!("a writer's turn{}", because_phrase(&job.because)),
        Work::Check(change) => format!("checks of {}", change.commit.short()),
        Work::Test(proven) => format!("a tester's turn on {}", proven.change.commit.short()),
        Work::Review(proven) => format!("a reviewer's turn on {}", proven.change.commit.short()),
        Work::Compare(_) => "a reviewer's turn, to choose a candidate".to_owned(),
        Work::Survey => "a run of all checks on the integration branch".to_owned(),
        Work::Plan(because) => format!("the author's turn to plan{}", plan_phrase(because)),
        Work::Try => "a tester's turn on the integration branch".to_owned(),
        Work::Accept(_) => "the author's turn to accept".to_owned(),
        Work::Land(approved) => format!("landing of {}", approved.proven.change.commit.short()),
    }
}

fn because_phrase(because: &Because) -> String {
    match because {
        Because::New => String::new(),
        Because::Interrupted { failure } => format!(", again because {}", failure_phrase(failure)),
        Because::ChecksFailed { failing, .. } => {
            let names: Vec<_> = failing.iter().map(|r| r.check.as_str()).collect();
            format!(", to mend the checks: {}", names.join(", "))
        }
        Because::Findings { by, findings } => {
            format!(", to answer {} finding(s) of {}", findings.len(), by.persona)
        }
        Because::Conflict { hunks, .. } => {
            let files: Vec<_> = hunks.iter().map(|h| h.file.as_str()).collect();
            format!(", to resolve a conflict in {}", files.join(", "))
        }
        Because::TestsFirst => ", tests before the work".to_owned(),
        Because::TestsPassAlready => ", again because its tests pass before the work is done".to_owned(),
        Because::MakePass { frozen, .. } => format!(", to make the tests in {} file(s) pass", frozen.len()),
        Because::OutOfBounds { paths, rule } => {
            let names: Vec<_> = paths.iter().take(3).map(String::as_str).collect();
            let rule = match rule {
                Bounds::FrozenTests => "frozen tests",
                Bounds::TestsOnly => "what is no test",
            };
            format!(", to undo changes of {rule}: {}", names.join(", "))
        }
        Because::Guarded { found, by, .. } => {
            let names: Vec<_> = found.iter().take(3).map(crate::guard::Guarded::place).collect();
            let who = match by {
                GuardedBy::Policy => "the policy refuses",
                GuardedBy::Person { .. } => "a person sent back",
            };
            format!(", to undo what {who}: {}", names.join(", "))
        }
        Because::Answered { decision } => format!(", with the answer to {decision}"),
        Because::Remarked => ", to heed what a person said".to_owned(),
    }
}

/// As much of a failure's detail as fits beside its cause; the journal has all of it.
const DETAIL: usize = 200;

/// A failure in words: the phrase of its cause and the first line of its detail.
pub fn failure_phrase(failure: &crate::failure::Failure) -> String {
    let phrase = failure.cause.phrase();
    match failure.detail.lines().next() {
        None | Some("") => phrase.to_owned(),
        Some(line) if line == phrase => phrase.to_owned(),
        Some(line) if line.chars().count() > DETAIL => {
            format!("{phrase} ({}…)", line.chars().take(DETAIL).collect::<String>())
        }
        Some(line) => format!("{phrase} ({line})"),
    }
}

/// Why a task waits for a person, in words, with what to do.
pub fn park_phrase(park: &Park) -> String {
    match park {
        Park::OutOfTries { failure } => format!("parked, no tries left: {}", failure_phrase(failure)),
        Park::NoProgress { same, alike } => {
            let what: Vec<_> = same
                .failing
                .iter()
                .map(ToString::to_string)
                .chain(same.findings.iter().cloned())
                .collect();
            let same = match alike {
                Likeness::Tree => "the same tree",
                Likeness::Essence => "the same change but for white space,",
            };
            format!("parked, no progress: three times {same} with {}", what.join("; "))
        }
        Park::NoChecks => {
            "parked: there are no checks, so nothing can be proven; name some in turno.toml under [checks]"
                .to_owned()
        }
        Park::RedBase { checks, base } => {
            let names: Vec<_> = checks.iter().map(|c| format!("`{c}`")).collect();
            format!(
                "parked: {} red at {} without this change, so nothing lands there; mend it on your branch and file \
                 the issue again, or set red_base = \"task\" in the policy to have it repaired",
                if names.len() == 1 {
                    format!("{} is", names.join(""))
                } else {
                    format!("{} are", names.join(", "))
                },
                base.short()
            )
        }
        Park::Decision(id) => format!("parked with a question; `turno answer {id}` shows and answers it"),
        Park::NoPlan { errors } => format!("parked, no valid plan: {}", errors.join("; ")),
        Park::NotAccepted { missing } => format!("parked, still missing: {}", missing.join("; ")),
        Park::Budget { level, left, least } => format!(
            "parked, the budget of {} is spent: {left} left, an attempt starts with at least {least}; `{}` raises it, \
             and it goes on",
            level.phrase(),
            level.raise(left.measure())
        ),
        Park::NoCandidate { why } => format!("parked, no candidate is good enough: {why}"),
        Park::Ceiling { failures, failure } => format!(
            "parked, its issue failed {failures} times, which is as often as it may (caps.failures); at last: {}",
            failure_phrase(failure)
        ),
        Park::Account { agent, failure } => {
            format!("parked, `{agent}` cannot be started: {}", failure_phrase(failure))
        }
    }
}

/// Why a task does not run, in words.
pub fn waiting_phrase(waiting: &Waiting) -> String {
    match waiting {
        Waiting::NoShift => "no shift works on its issue; `turno run` starts one".to_owned(),
        Waiting::WindingDown(_) => "the shift starts nothing more".to_owned(),
        Waiting::Needs(needs) => {
            let names: Vec<_> = needs.iter().map(ToString::to_string).collect();
            format!("needs {} first", names.join(", "))
        }
        Waiting::Opening => "its issue's branch is being begun".to_owned(),
        Waiting::Group(_) => "the group of the batch before it is not done".to_owned(),
        Waiting::Candidates(tasks) => {
            let names: Vec<_> = tasks.iter().map(ToString::to_string).collect();
            format!("waits for the other candidates: {}", names.join(", "))
        }
        Waiting::Overlaps(task) => format!("{task} is in flight and may write the same paths"),
        Waiting::PersonaBusy(persona) => format!("{persona} runs as often as it may"),
        Waiting::Reserved => "the free slots are kept for urgent issues".to_owned(),
        Waiting::Until { cause, .. } => format!("is tried again after a wait: {}", cause.phrase()),
        Waiting::Person(park) => park_phrase(park),
        Waiting::NoFreeSlot => "every slot is held".to_owned(),
        Waiting::Following(issue) => format!("the branch of issue {issue} is brought along with yours"),
        Waiting::LandingBusy(task) => format!("task {task} is being landed"),
        Waiting::NobodyFor(role) => format!("no persona has the role {role}"),
        Waiting::AgentsBusy(role) => format!("every agent that may play {role} is at its limit"),
        Waiting::Account { agent, opens, cause } => {
            let when = match opens {
                Opens::AfterTrial => "is closed until an attempt has shown that it works again",
                Opens::At(_) => "is closed for a time",
                Opens::NotInThisShift => "is closed until the next shift",
            };
            format!("the account of `{agent}` {when}: {}", cause.phrase())
        }
        Waiting::Budget(Shortage { level, left, least }) => {
            format!(
                "the budget of {} has {left} left, an attempt starts with at least {least}",
                level.phrase()
            )
        }
        Waiting::Disk(tight) => format!("{}; {MAKE_ROOM}", tight.phrase()),
        Waiting::Held(hold) => hold.phrase().to_owned(),
    }
}
