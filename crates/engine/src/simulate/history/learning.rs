//! Owns what observations come to: each belief is drawn from the assumption towards what was seen, by how sure each is.

use std::collections::BTreeMap;

use turno_core::failure::Cause;
use turno_core::ids::{AgentName, PersonaName};
use turno_core::persona::Role;

use super::super::dice::ln;
use super::super::model::{
    Amount, Chance, CheckHabit, Course, Failing, Fault, Habit, LandingTime, Model, Prone, Split, Tally, Work,
};
use super::{Evidence, Fit, Seen, SeenTask, SeenWork, Sums};

/// How far a typical value may be from what is assumed, before anything was seen: within a factor of five, two times
/// of three. It is wide on purpose: projects differ.
const FAR: f64 = 1.609_437_912_434_100_3;
/// Of so many observations an assumed chance is worth against seen ones.
const ASSUMED_WORTH: f64 = 2.0;
/// The same for a way to fail: one that is assumed and never seen here is soon believed to be another project's.
const NEVER_SEEN_WORTH: f64 = 1.0;
/// And for one that nobody assumes: of all that could have happened it is what did, partly by luck.
const UNASSUMED_WORTH: f64 = 4.0;
/// No fewer than this: a chance that was seen twice is not known better than one that was assumed.
const LEAST_WORTH: f64 = 8.0;

pub(super) fn learned(all: Sums, shifts: usize, mut model: Model, roles: &[(PersonaName, Role)]) -> Fit {
    let mut evidence = Vec::new();
    let accounts = accounts(&all);
    for ((persona, agent), seen) in all.agents {
        let role = roles.iter().find(|(name, _)| *name == persona).map(|(_, r)| *r);
        let Some(role) = role else { continue };
        evidence.push(Evidence {
            of: format!("{persona} by {agent}"),
            seen: seen.ended(),
        });
        let account = accounts.get(&agent).copied().unwrap_or_default();
        let habit = habit(model.of_role(role), &seen, account, model.kinship.again);
        model.known.insert((persona, agent), habit);
    }
    for (name, seen) in all.checks {
        evidence.push(Evidence {
            of: format!("check {name}"),
            seen: seen.over.iter().map(|t| t.of).sum(),
        });
        let check = CheckHabit {
            takes: amount(model.checks.takes, &seen.takes),
            red: model.checks.red.learned(&seen.over, ASSUMED_WORTH),
        };
        model.known_checks.insert(name, check);
    }
    if !all.landings.is_empty() {
        evidence.push(Evidence {
            of: "landings".to_owned(),
            seen: all.landings.len(),
        });
        let before = match model.landing {
            LandingTime::AndChecks(amount) | LandingTime::Whole(amount) => amount,
        };
        model.landing = LandingTime::Whole(amount(before, &all.landings));
        model.conflict = chance(model.conflict, all.conflicts, all.moved);
        model.red_together = chance(model.red_together, all.red_together, all.moved);
    }
    model.opens = amount(model.opens, &all.opens);
    if !all.plans.is_empty() {
        evidence.push(Evidence {
            of: "plans".to_owned(),
            seen: all.plans.len(),
        });
        let mut seen = all.plans;
        // What was assumed stays possible, as one plan among those that were seen.
        if let Split::Between(least, most) = model.split
            && seen.len() < 10
        {
            seen.push(least.midpoint(most));
        }
        seen.sort_unstable();
        model.split = Split::Seen(seen);
    }
    Fit {
        model,
        shifts,
        evidence,
    }
}

/// How many attempts each agent ended, whichever role it had: an account is one.
fn accounts(all: &Sums) -> BTreeMap<AgentName, usize> {
    let mut accounts = BTreeMap::new();
    for ((_, agent), seen) in &all.agents {
        *accounts.entry(agent.clone()).or_default() += seen.ended();
    }
    accounts
}

fn habit(assumed: &Habit, seen: &Seen, account: usize, again: Chance) -> Habit {
    let usual = work(&assumed.work, &seen.work);
    let tallies = |of: fn(&SeenTask) -> Tally| seen.over.iter().map(of).collect::<Vec<Tally>>();
    let mut ways = assumed.fails.clone();
    for cause in seen.failed.keys() {
        ways.entry(*cause).or_insert_with(|| Failing {
            chance: unassumed(*cause, again),
            course: Course::Unseen,
        });
    }
    let fails = ways.into_iter().map(|(cause, failing)| {
        let tallies = match Fault::of(cause) {
            Fault::Task => failed(seen, cause),
            Fault::World => of_world(seen, cause, account),
        };
        let course = match seen.failed.get(&cause) {
            Some(how) => Course::Seen(work(&usual, how)),
            None => failing.course,
        };
        let worth = if assumed.fails.contains_key(&cause) {
            NEVER_SEEN_WORTH
        } else {
            UNASSUMED_WORTH
        };
        let chance = failing.chance.learned(&tallies, worth);
        (cause, Failing { chance, course })
    });
    let fails = fails.collect();
    Habit {
        work: usual,
        fails,
        asks: assumed.asks.learned(&tallies(|t| t.asked), ASSUMED_WORTH),
        sends_back: assumed
            .sends_back
            .learned(&tallies(|t| t.sent_back), ASSUMED_WORTH),
    }
}

/// What nobody assumes and what happened all the same.
fn unassumed(cause: Cause, again: Chance) -> Prone {
    let never = Chance {
        mean: 0.0,
        worth: UNASSUMED_WORTH,
    };
    match Fault::of(cause) {
        Fault::Task => Prone::assumed(never, again),
        Fault::World => Prone::alike(never),
    }
}

/// How often it failed so, task by task.
fn failed(seen: &Seen, cause: Cause) -> Vec<Tally> {
    let of_task = |task: &SeenTask| Tally {
        yes: task.failed.get(&cause).copied().unwrap_or_default(),
        of: task.ended,
    };
    seen.over.iter().map(of_task).collect()
}

/// The same of what is no task's.
fn of_world(seen: &Seen, cause: Cause, account: usize) -> Vec<Tally> {
    let yes = seen.failed.get(&cause).map_or(0, |how| how.takes.len());
    // Where it did happen the role's own attempts tell how often: roles are at work at different times.
    let of = if yes == 0 { account } else { seen.ended() };
    vec![Tally { yes, of }]
}

fn work(assumed: &Work, seen: &SeenWork) -> Work {
    Work {
        takes: amount(assumed.takes, &seen.takes),
        costs: amount(assumed.costs, &seen.costs),
        tokens: amount(assumed.tokens, &seen.tokens),
        turns: amount(assumed.turns, &seen.turns),
    }
}

/// A chance of which so many of so many were seen.
fn chance(assumed: Chance, yes: usize, of: usize) -> Chance {
    if of == 0 {
        return assumed;
    }
    let worth = ASSUMED_WORTH + of as f64;
    Chance {
        mean: (assumed.mean * ASSUMED_WORTH + yes as f64) / worth,
        worth: worth.max(LEAST_WORTH),
    }
}

/// What is believed of an amount, by the assumed value and the seen ones, each by how sure it is.
fn amount(assumed: Amount, seen: &[f64]) -> Amount {
    if seen.is_empty() {
        return assumed;
    }
    let n = seen.len() as f64;
    let logs: Vec<f64> = seen.iter().map(|x| ln(*x)).collect();
    let mean = logs.iter().sum::<f64>() / n;
    let squares: f64 = logs.iter().map(|x| (x - mean) * (x - mean)).sum();
    // The assumed deviation counts as one observation, and never vanishes all at once.
    let variance = (assumed.sigma * assumed.sigma + squares) / n;
    let (seen_sure, assumed_sure) = (n / variance.max(1e-6), 1.0 / (FAR * FAR));
    Amount {
        mu: (mean * seen_sure + assumed.mu * assumed_sure) / (seen_sure + assumed_sure),
        sigma: variance.sqrt(),
        doubt: (1.0 / (seen_sure + assumed_sure)).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assumed() -> Amount {
        Amount {
            mu: ln(600_000.0),
            sigma: ln(2.0),
            doubt: ln(1.5),
        }
    }

    fn typical(amount: Amount) -> f64 {
        amount.mu.exp()
    }

    #[test]
    fn the_more_was_seen_the_less_is_assumed() {
        let far = |n: usize| typical(amount(assumed(), &vec![1000.0; n]));
        assert!(far(1) > far(3) && far(3) > far(30));
        assert!(far(1) > 1500.0, "one attempt is no proof: {}", far(1));
        assert!(far(30) < 1100.0, "thirty are: {}", far(30));
        let width = |n: usize| amount(assumed(), &vec![1000.0; n]);
        assert!(width(1).doubt > 3.0 * width(12).doubt);
        assert!(width(1).sigma > width(12).sigma);
        assert_eq!(amount(assumed(), &[]), assumed());
    }

    #[test]
    fn a_spread_that_was_seen_is_found_again() {
        let values: Vec<f64> = (0..200)
            .map(|n| if n % 2 == 0 { 1000.0 } else { 4000.0 })
            .collect();
        let found = amount(assumed(), &values);
        assert!((typical(found) / 2000.0 - 1.0).abs() < 0.05, "{found:?}");
        assert!((found.sigma / ln(2.0) - 1.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_chance_is_drawn_towards_what_was_seen() {
        let before = Chance {
            mean: 0.3,
            worth: 12.0,
        };
        assert_eq!(chance(before, 0, 0), before);
        assert!(chance(before, 0, 20).mean < 0.03);
        assert!((chance(before, 10, 20).mean - 0.48).abs() < 0.01);
    }
}
