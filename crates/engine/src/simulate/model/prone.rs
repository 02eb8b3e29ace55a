//! Owns chances that differ between tasks: what happened once to a task is likelier to happen to it again. How much
//! likelier is not known either, so several answers are believed at once, each as far as what was seen speaks for it.

use serde::Serialize;

use super::super::dice::{exp, ln};
use super::Chance;

/// How much likelier it is that what happened once happens again: the answers that are weighed against each other.
/// Neither end is among them. Tasks are never all alike, and none is lost for ever.
const AGAIN: [f64; 12] = [0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97];

/// So often of so many it happened to one task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// It happened.
    pub yes: usize,
    /// It could have happened.
    pub of: usize,
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answer {
    /// How far it is believed; all answers together, 1.
    pub weight: f64,
    /// A task to which it happened once has the chance of any task, and this part of what that lacks to 1.
    pub again: f64,
    /// For any task.
    pub chance: Chance,
}

/// A chance that differs between tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Prone(Vec<Answer>);

impl Prone {
    /// The same for every task.
    pub fn alike(chance: Chance) -> Self {
        Self::known(chance, 0.0)
    }

    /// With one answer to how much likelier what happened once is.
    pub fn known(chance: Chance, again: f64) -> Self {
        Self(vec![Answer {
            weight: 1.0,
            again,
            chance,
        }])
    }

    /// Before anything was seen: the answers around what is assumed.
    pub fn assumed(chance: Chance, again: Chance) -> Self {
        let (a, b) = (again.mean * again.worth, (1.0 - again.mean) * again.worth);
        let answers = AGAIN.map(|at| {
            // The density of a beta distribution over the room that an answer stands for.
            let density = (a - 1.0) * ln(at) + (b - 1.0) * ln(1.0 - at);
            (density + ln(room(at)), at, chance)
        });
        Self::weighed(&answers)
    }

    fn weighed(answers: &[(f64, f64, Chance)]) -> Self {
        let most = answers.iter().map(|(log, ..)| *log).fold(f64::MIN, f64::max);
        let all: f64 = answers.iter().map(|(log, ..)| exp(log - most)).sum();
        let answer = |(log, again, chance): &(f64, f64, Chance)| Answer {
            weight: exp(log - most) / all,
            again: *again,
            chance: *chance,
        };
        Self(answers.iter().map(answer).collect())
    }

    /// What is believed of it, each answer by its weight.
    pub fn answers(&self) -> &[Answer] {
        &self.0
    }

    /// That it happens to a task of which nothing is known.
    pub fn mean(&self) -> f64 {
        self.0.iter().map(|a| a.weight * a.chance.mean).sum()
    }

    /// What is believed once it was seen, task by task. What is assumed counts as `worth` observations.
    ///
    /// If what happens happens again, many observations of one task say little more than one: `n` of them count as
    /// `n / (1 + (n - 1) * again)`.
    #[must_use]
    pub fn learned(&self, seen: &[Tally], worth: f64) -> Self {
        if seen.iter().all(|t| t.of == 0) {
            return self.clone();
        }
        let of = |answer: &Answer| {
            let (mut yes, mut all) = (answer.chance.mean * worth, worth);
            for tally in seen.iter().filter(|t| t.of > 0) {
                let counts = 1.0 / (1.0 + (tally.of as f64 - 1.0) * answer.again);
                yes += tally.yes as f64 * counts;
                all += tally.of as f64 * counts;
            }
            let chance = Chance {
                mean: (yes / all).clamp(0.0, 1.0),
                worth: all,
            };
            let fits: f64 = seen.iter().map(|t| fits(*t, chance.mean, answer.again)).sum();
            (ln(answer.weight) + fits, answer.again, chance)
        };
        let answers: Vec<_> = self.0.iter().map(of).collect();
        Self::weighed(&answers)
    }
}

/// How much of the line from 0 to 1 is nearer to this answer than to another.
fn room(at: f64) -> f64 {
    let below = AGAIN
        .iter()
        .rev()
        .find(|x| **x < at)
        .map_or(0.0, |x| at.midpoint(*x));
    let above = AGAIN.iter().find(|x| **x > at).map_or(1.0, |x| at.midpoint(*x));
    above - below
}

/// The logarithm of how likely a tally is, in the order it was seen: each observation by those before it.
fn fits(tally: Tally, mean: f64, again: f64) -> f64 {
    // Of a beta-binomial distribution, whose order does not matter: first all that happened, then all that did not.
    let before = (1.0 - again) / again.max(1e-9);
    let (yes, no) = (mean * before, (1.0 - mean) * before);
    let step = |n: usize, of: f64, seen: usize| ln((of + n as f64) / (before + (n + seen) as f64));
    let happened: f64 = (0..tally.yes).map(|n| step(n, yes, 0)).sum();
    let missing = tally.of.saturating_sub(tally.yes);
    happened + (0..missing).map(|n| step(n, no, tally.yes)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assumed() -> Prone {
        let chance = Chance {
            mean: 0.2,
            worth: 12.0,
        };
        let again = Chance {
            mean: 0.3,
            worth: 3.0,
        };
        Prone::assumed(chance, again)
    }

    fn again(prone: &Prone) -> f64 {
        prone.answers().iter().map(|a| a.weight * a.again).sum()
    }

    fn tallies(all: &[(usize, usize)]) -> Vec<Tally> {
        all.iter().map(|(yes, of)| Tally { yes: *yes, of: *of }).collect()
    }

    #[test]
    fn answers_are_weights_around_what_is_assumed() {
        let prone = assumed();
        let all: f64 = prone.answers().iter().map(|a| a.weight).sum();
        assert!((all - 1.0).abs() < 1e-9);
        assert!((again(&prone) - 0.3).abs() < 0.05, "{}", again(&prone));
        assert!((prone.mean() - 0.2).abs() < 1e-9);
        assert_eq!(prone.learned(&[], 2.0), prone);
    }

    #[test]
    fn the_same_number_of_failures_tells_a_few_hard_tasks_from_many_alike_ones() {
        let mut few = vec![(0, 1); 12];
        few.extend([(4, 4), (4, 4)]);
        let mut many = vec![(1, 2); 8];
        many.extend(vec![(0, 1); 4]);
        let (few, many) = (
            assumed().learned(&tallies(&few), 2.0),
            assumed().learned(&tallies(&many), 2.0),
        );
        assert!(again(&few) > 0.6, "{}", again(&few));
        assert!(again(&many) < 0.2, "{}", again(&many));
        // Two hard tasks of fourteen are about one of seven, whatever the number of their attempts.
        assert!((0.1..0.25).contains(&few.mean()), "{}", few.mean());
    }

    #[test]
    fn what_was_never_seen_is_believed_less_the_more_was_seen() {
        let never = |n: usize| assumed().learned(&tallies(&vec![(0, 1); n]), 1.0).mean();
        assert!((never(19) - 0.2 / 20.0).abs() < 1e-9);
        for n in [1, 10, 100, 1000] {
            // Where nothing happened in n, the rule of three allows up to 3 / n.
            assert!(never(n) < 3.0 / n as f64 && never(n) > never(10 * n));
        }
    }

    #[test]
    fn a_tally_is_as_likely_as_its_observations_one_by_one() {
        // The chance, the chance again, and the chance that it then stops: 0.2, 0.2 + 0.5 * 0.8, and so on.
        let one = fits(Tally { yes: 1, of: 1 }, 0.2, 0.5);
        let two = fits(Tally { yes: 2, of: 2 }, 0.2, 0.5);
        assert!((one - ln(0.2)).abs() < 1e-12);
        assert!((two - one - ln(0.6)).abs() < 1e-12);
        let alike = fits(Tally { yes: 1, of: 3 }, 0.2, 0.0);
        assert!((alike - ln(0.2 * 0.8 * 0.8)).abs() < 1e-6);
    }
}
