//! A hostile agent: everything in the table of attacks is tried through the shipped binary, and whether it succeeded
//! is seen from outside. The control runs the same commands where nothing confines them: there each must succeed.

mod attack;
mod config;
mod document;
mod doors;
mod evidence;
mod floods;
mod git;
mod layout;
mod network;
mod outcome;
mod poison;
mod processes;
mod push;
mod secrets;
mod stage;
mod table;
mod watch;
mod writes;

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::attack::{Attack, Harm, Sight};
use self::config::{Config, Means, User};
use self::document::Directly;
use self::evidence::{Said, succeeded};
use self::outcome::Outcome;
use self::stage::{Play, Stage, is_root};

/// One stage at a time: floods are no company.
static ALONE: Mutex<()> = Mutex::new(());

/// The table, what spoils the rest last. `TURNO_ATTACK` chooses those whose name begins so.
fn in_order() -> Vec<Attack> {
    let chosen = std::env::var("TURNO_ATTACK").ok();
    let mut all = table::attacks();
    all.retain(|a| {
        chosen
            .as_ref()
            .is_none_or(|name| a.name.starts_with(name.as_str()))
    });
    // Only root can plant a setuid program of root's.
    all.retain(|a| is_root() || !matches!(a.sight, Sight::Leaked("root-only")));
    all.sort_by_key(|a| a.harm);
    all
}

/// A shift for all that leave each other alone, and one for each of the others.
fn apart(attacks: Vec<Attack>) -> Vec<Vec<Attack>> {
    let (together, others): (Vec<_>, Vec<_>) = attacks.into_iter().partition(|a| a.harm == Harm::Apart);
    let together = Some(together).filter(|all| !all.is_empty());
    together
        .into_iter()
        .chain(others.into_iter().map(|a| vec![a]))
        .collect()
}

/// What came of each attack, or that nothing can be said: one was not tried.
enum Came {
    OfAll(Vec<(Attack, Outcome)>),
    NotTried(String),
}

/// Tries these attacks in one shift.
fn tried(config: Config, attacks: Vec<Attack>) -> Came {
    let mut stage = Stage::new(config.user(), config.means(), Play::Attack, attacks);
    stage.start();
    stage.wait();
    let attacks = stage.attacks.clone();
    for attack in attacks.iter().filter(|a| !a.then.is_empty()) {
        // A person's own command may well find the repository in disorder; what it ran is what counts.
        drop(stage.try_shell(&stage.fill(attack.then, attack)));
    }
    let said = Said::by_attempts(&stage);
    let alone = attacks.len() == 1;
    let mut all = Vec::new();
    for attack in attacks {
        let came = succeeded(&mut stage, &attack, &said);
        let mark = stage.mark(&attack);
        // What was never tried proves nothing, unless it ended everything before it could be told.
        let complaint = said.tried(&mark);
        let tried = match attack.harm {
            Harm::Apart | Harm::Spoils(_) => {
                let times = if attack.again.is_empty() { 1 } else { 2 };
                said.times_tried(&mark) >= times || alone && came
            }
            Harm::EndsItsAttempt => said.begun(&mark),
        };
        if !tried {
            return Came::NotTried(attack.name);
        }
        let outcome = if came {
            Outcome::Succeeded
        } else {
            Outcome::of_failed(complaint.as_ref())
        };
        all.push((attack, outcome));
    }
    Came::OfAll(all)
}

/// Tries the whole table. Where none succeeds, none can have spoiled another, and one shift is enough; otherwise
/// those that spoil are tried apart, so that each is judged by itself.
fn tried_all(config: Config) -> Vec<(Attack, Outcome)> {
    let ends = |a: &Attack| a.harm == Harm::EndsItsAttempt;
    let (ending, others): (Vec<_>, Vec<_>) = in_order().into_iter().partition(ends);
    let mut all = match tried(config, others.clone()) {
        Came::OfAll(all) if succeeding(&all).is_empty() => all,
        Came::OfAll(all) => {
            say(config, &format!("succeed together: {:?}", succeeding(&all)));
            one_by_one(config, others)
        }
        Came::NotTried(name) => {
            say(config, &format!("{name} was not tried among the others"));
            one_by_one(config, others)
        }
    };
    all.extend(one_by_one(config, ending));
    all
}

fn succeeding(results: &[(Attack, Outcome)]) -> Vec<&str> {
    let those = results.iter().filter(|(_, came)| *came == Outcome::Succeeded);
    those.map(|(a, _)| a.name.as_str()).collect()
}

/// Tells it also where what a test prints is kept back.
fn say(config: Config, what: &str) {
    drop(writeln!(std::io::stderr(), "attacks, {}: {what}", config.name()));
}

fn one_by_one(config: Config, attacks: Vec<Attack>) -> Vec<(Attack, Outcome)> {
    let shifts = apart(attacks).into_iter();
    let judged = shifts.flat_map(|shift| match tried(config, shift) {
        Came::OfAll(all) => all,
        Came::NotTried(name) => {
            say(config, &format!("{name} was not tried"));
            panic!("{name} was not tried")
        }
    });
    judged.collect()
}

/// One after the other, or those who wait for their turn hold up the other stories.
#[test]
fn no_attack_succeeds() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for config in Config::ALL {
        if config.user() == User::Normal || is_root() {
            none_succeeds(config);
        }
    }
}

fn none_succeeds(config: Config) {
    let results = tried_all(config);
    let written = document::outcome(config, &results);
    let names = succeeding(&results);
    say(
        config,
        &format!("{} of {} succeed {names:?}", names.len(), results.len()),
    );
    assert!(
        names.is_empty(),
        "{} of {} succeed, see {}: {names:?}",
        names.len(),
        results.len(),
        written.display()
    );
    document::is_told(config, &results);
}

/// How long the evidence of a control may take to arrive: the other side of a socket reads when it can.
const ARRIVES: Duration = Duration::from_secs(2);

/// Runs these attacks' commands directly, one by one; those that fail though they should not, and the other way round.
fn surprises(user: User, attacks: Vec<Attack>) -> Vec<String> {
    let mut stage = Stage::new(user, Means::Everything, Play::Control, attacks);
    stage.start();
    stage.until_it_waits();
    let mut surprises = Vec::new();
    for (number, attack) in stage.attacks.clone().into_iter().enumerate() {
        let output = stage.perform(number);
        drop((!attack.then.is_empty()).then(|| stage.try_shell(&stage.fill(attack.then, &attack))));
        let expected = match document::directly(&attack, user) {
            Directly::Succeeds => true,
            Directly::Fails(_) => false,
            Directly::MaySucceed(_) => continue,
        };
        let begun = Instant::now();
        let came = loop {
            let said = Said::directly(&stage, &attack, &output);
            let came = succeeded(&mut stage, &attack, &said);
            if came || !expected || begun.elapsed() > ARRIVES {
                break came;
            }
        };
        if came != expected {
            let said = std::fs::read(&output).unwrap();
            let said = String::from_utf8_lossy(&said[..said.len().min(600)]).into_owned();
            surprises.push(format!(
                "{}: expected {expected}, came {came}: {said}",
                attack.name
            ));
        }
    }
    stage.stop();
    surprises
}

#[test]
fn every_attack_succeeds_where_nothing_confines_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for user in [User::Root, User::Normal] {
        if user == User::Root && !is_root() {
            continue;
        }
        let wrong = surprises(user, in_order());
        assert!(
            wrong.is_empty(),
            "{user:?}: {} surprises:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}
