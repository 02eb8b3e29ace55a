//! Owns what a simulated attempt uses: money, tokens and turns together.

use turno_core::units::{CostBasis, MicroUsd, Spend, Tokens};

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bill {
    /// Millionths of a dollar.
    pub(super) micros: u64,
    /// Tokens of every kind.
    pub(super) tokens: u64,
    /// Answers of a model.
    pub(super) turns: u64,
}

impl Bill {
    fn each(self, of: impl Fn(u64) -> u64) -> Self {
        Self {
            micros: of(self.micros),
            tokens: of(self.tokens),
            turns: of(self.turns),
        }
    }

    /// The part that `done` is of `whole`.
    pub(super) fn part(self, done: u64, whole: u64) -> Self {
        self.each(|all| {
            let part = u128::from(all) * u128::from(done) / u128::from(whole.max(1));
            u64::try_from(part).unwrap_or(all)
        })
    }

    /// A share of it, between nothing and all.
    pub(super) fn share(self, share: f64) -> Self {
        self.each(|all| (all as f64 * share) as u64)
    }

    /// What is left of it without `other`.
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            micros: self.micros.saturating_sub(other.micros),
            tokens: self.tokens.saturating_sub(other.tokens),
            turns: self.turns.saturating_sub(other.turns),
        }
    }

    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            micros: self.micros.saturating_add(other.micros),
            tokens: self.tokens.saturating_add(other.tokens),
            turns: self.turns.saturating_add(other.turns),
        }
    }

    /// The last of `many` equal parts, with what does not divide evenly.
    pub(super) fn last_of(self, many: u64) -> Self {
        self.each(|all| all / many + all % many)
    }

    /// As an agent tells it. A guess of ours, as what it stands for is one.
    pub(super) fn spend(self) -> Spend {
        Spend {
            cost: MicroUsd(self.micros),
            basis: CostBasis::Estimated,
            tokens: Tokens {
                input: self.tokens,
                ..Tokens::default()
            },
            turns: u32::try_from(self.turns).unwrap_or(u32::MAX),
            ..Spend::NOTHING
        }
    }
}
