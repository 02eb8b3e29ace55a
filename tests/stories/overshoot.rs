//! How far a hard cap of money is overspent, measured: three slots race to one cap of the shift, each with an agent
//! that would go on for ever. What the provider would bill is held beside what Turno booked: a message that is under
//! way when its agent is killed is billed all the same, and nobody tells what it cost.

use std::time::Duration;

use rstest::rstest;

use crate::harness::model_server::{Action, Api, Script, Turn, Usage};
use crate::harness::processes::{ended_within, nothing_runs, until_within};
use crate::harness::project::Project;
use crate::harness::real_cli::{CODEX_MODEL, Cli};
use crate::stories::real_agents::{ENGINEER, Stage, engineer};

const SLOTS: u64 = 3;
const CAP: u64 = 1_000_000;
/// What one message costs in millionths of a dollar: 100 tokens in at 5 dollars a million, 5000 out at 25.
const MESSAGE: u64 = 125_500;
/// How long one takes: less than a model's, so that more of them come in a time.
const TAKES: Duration = Duration::from_millis(800);

/// Writes something else each time, and never says what that cost.
const MUTE: &str = r#"
cat > /dev/null
date +%N > greet.txt
printf '```json\n{"summary": "done", "evidence": [], "open_questions": [], "proposals": [], "lessons": []}\n```\n'
"#;

/// How the slots come to share a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cap {
    /// Each attempt may use a third of it at first; what is left is raced for.
    FromTheStart,
    /// Each attempt may use five times as much, and a person sets the cap while they run: only the kill holds it.
    SetWhileTheyRun,
}

/// No shift of these stories takes longer, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(120);

fn all_have_begun(project: &Project) -> bool {
    let journal = project.journal();
    let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    let starts = commands.filter(|c| c.get("start-agent").is_some()).count() as u64;
    let sessions = journal
        .iter()
        .filter(|r| r["event"].get("session-opened").is_some());
    starts >= SLOTS && sessions.count() as u64 >= SLOTS
}

/// Nobody goes on before the cap is set.
const WHEN_ALL_MAY: &str = "until [ -f $HOME/shared/go ]; do sleep 0.02; done;";

/// What the shift has booked.
fn spent(project: &Project) -> u64 {
    let status = project.turno(&["status", "--json"]).exits(0).json();
    status["shift"]["spent"].as_u64().unwrap()
}

fn race(api: Api, begins: &str) -> Script {
    let dear = Usage {
        output: 5_000,
        ..Usage::default()
    };
    engineer(
        api,
        begins,
        (0..60).map(|n| {
            let act = Action::Bash(format!("{WHEN_ALL_MAY} echo {n}"));
            Turn::new([Action::Wait(TAKES), act]).usage(dear)
        }),
    )
    .every_message()
}

/// No tool takes long, so the next message is under way as soon as one can be.
#[rstest]
#[case(Cli::Claude, Api::Messages)]
#[case(Cli::Codex, Api::Responses)]
fn three_slots_race_to_one_cap(
    #[case] cli: Cli,
    #[case] api: Api,
    #[values(Cap::FromTheStart, Cap::SetWhileTheyRun)] cap: Cap,
) {
    let scripts = vec![race(api, "ended early"), race(api, "The task is new")];
    let name = format!("{}, {cap:?}", cli.name());
    let Some(stage) = Stage::new(&format!("overshoot, {name}"), &[cli], scripts) else {
        return;
    };
    let project = &stage.project;
    let config = format!(
        "slots = {SLOTS}\npolicy = \"single\"\n[checks.test]\ncommand = \"true\"\n\
         [agents.{}]\nat_once = {SLOTS}\n[personas.engineer]\nbudget_usd = 5\n\
         [prices.\"{CODEX_MODEL}\"]\ninput = 5\noutput = 25\n",
        cli.name()
    );
    project.write(&[("turno.toml", &config)]);
    for n in 0..SLOTS {
        project.issue(&format!("Count for ever, {n}"));
    }
    let budget = match cap {
        Cap::FromTheStart => "1.00",
        Cap::SetWhileTheyRun => "15.00",
    };
    let run = project.start(&["run", "1", "2", "3", "--agent", cli.name(), "--budget", budget]);
    if cap == Cap::SetWhileTheyRun {
        until_within(PATIENCE, "each slot has begun", || all_have_begun(project));
        project.turno(&["budget", "set", "shift", "--usd", "1"]).exits(0);
    }
    std::fs::write(project.shared().join("go"), "").unwrap();
    let done = stage
        .ends_as_scripted(ended_within(PATIENCE, project, run))
        .exits(3);
    assert!(done.out.contains("stopped by the budget"), "{}", done.out);
    nothing_runs(project);

    let spent = spent(project);
    let messages = stage.requests(ENGINEER).len() as u64;
    let billed = messages * MESSAGE;
    let killed = killed(project);
    let in_flight = billed.saturating_sub(spent) / MESSAGE;
    println!(
        "MEASURED overshoot {}: cap {CAP}, booked {spent} ({:+.1} messages), billed {billed} ({:+.1} messages), \
         under way when killed {in_flight}, killed {killed}, messages {messages}, one message {MESSAGE}",
        name,
        messages_over(spent),
        messages_over(billed),
    );
    assert!(spent + SLOTS * MESSAGE > CAP, "the cap was used: {spent}");
    assert!(
        spent.max(billed) <= CAP + SLOTS * MESSAGE,
        "{spent} booked, {billed} billed"
    );
    // One that begins in the moment of the kill is told to nobody.
    assert!(billed <= spent + killed * MESSAGE, "{billed} of {killed} killed");
    project.ledger_adds_up();
}

/// How many agents were stopped while they were at work.
fn killed(project: &Project) -> u64 {
    let journal = project.journal();
    let ends = journal.iter().filter_map(|r| r["event"].get("agent-ended"));
    ends.filter(|end| end["end"]["failed"]["cause"] == "stopped")
        .count() as u64
}

fn messages_over(sum: u64) -> f64 {
    (sum as f64 - CAP as f64) / MESSAGE as f64
}

/// A program that names no cost is booked with all it could have spent, so the cap is not overspent at all.
#[test]
fn an_agent_without_a_price_stays_under_the_cap() {
    let config = format!(
        "slots = {SLOTS}\npolicy = \"single\"\n[checks.test]\ncommand = \"false\"\n\
         [agents.mute]\ndialect = \"command\"\nat_once = {SLOTS}\nprogram = \"sh\"\nargs = [\"-c\", '''\n{MUTE}''']\n\
         [personas.engineer]\nagents = [\"mute\"]\nbudget_usd = 0.30\n\
         [personas.reviewer]\nagents = [\"mute\"]\n"
    );
    let project = Project::new(&[("turno.toml", &config)]);
    for n in 0..SLOTS {
        project.issue(&format!("Count for ever, {n}"));
    }
    let done = project.turno(&["run", "1", "2", "3", "--budget", "1.00"]);
    println!("{}\n{}", done.out, done.err);
    done.exits(3);
    let journal = project.journal();
    let ends = journal.iter().filter_map(|r| r["event"].get("agent-ended"));
    let bases: Vec<&str> = ends.map(|end| end["spend"]["basis"].as_str().unwrap()).collect();
    assert!(bases.iter().all(|basis| *basis == "unknown"), "{bases:?}");
    let spent = spent(&project);
    println!(
        "MEASURED overshoot of an agent without a price: cap {CAP}, booked {spent}, attempts {}",
        bases.len()
    );
    assert!(bases.len() >= 3, "each slot had its turn: {bases:?}");
    assert!((CAP / 2..=CAP).contains(&spent), "{spent}");
    project.ledger_adds_up();
}
