//! Owns the accounts of agents as they are shown: how full their windows are, as their providers told, and why one may
//! not be started.

use serde::Serialize;
use turno_core::State;
use turno_core::gate::{Gate, Standing};
use turno_core::ids::AgentName;
use turno_core::quota::QuotaFill;
use turno_core::units::Timestamp;
use utoipa::ToSchema;

/// One agent's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountCard {
    /// Whose.
    #[schema(value_type = String)]
    pub agent: AgentName,
    /// What its provider told of its windows, by their names. One that was emptied since is not among them.
    pub windows: Vec<WindowCard>,
    /// Why it may not be started whenever there is work; absent where it may.
    pub closed: Option<ClosedCard>,
}

/// One window of an account's quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WindowCard {
    /// The provider's name for it.
    pub name: String,
    /// How full it is, in words.
    pub fill: String,
    /// How much of it is used, in percent, where that is known.
    pub percent: Option<u8>,
    /// When it is empty again, where that was told.
    #[schema(value_type = Option<i64>)]
    pub resets: Option<Timestamp>,
    /// When this was told.
    #[schema(value_type = i64)]
    pub seen: Timestamp,
}

/// Why an account may not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClosedCard {
    /// In words.
    pub why: String,
    /// Until when, where that is known.
    #[schema(value_type = Option<i64>)]
    pub until: Option<Timestamp>,
}

/// The accounts of which there is something to say now.
pub(crate) fn accounts(state: &State, now: Timestamp) -> Vec<AccountCard> {
    let cards = state.gates.values().map(|gate| AccountCard::of(gate, now));
    cards
        .filter(|c| !c.windows.is_empty() || c.closed.is_some())
        .collect()
}

impl AccountCard {
    fn of(gate: &Gate, now: Timestamp) -> Self {
        let told = gate
            .windows
            .iter()
            .filter(|(_, w)| w.resets.is_none_or(|at| at > now));
        Self {
            agent: gate.agent.clone(),
            windows: told
                .map(|(name, window)| WindowCard {
                    name: name.clone(),
                    fill: window.fill.to_string(),
                    percent: match window.fill {
                        QuotaFill::Percent(n) => Some(n.min(100)),
                        QuotaFill::Full => Some(100),
                        QuotaFill::Open | QuotaFill::Near => None,
                    },
                    resets: window.resets,
                    seen: window.seen,
                })
                .collect(),
            closed: gate.closed_phrase().map(|why| ClosedCard {
                why,
                until: match &gate.standing {
                    Standing::Closed { until, .. } => Some(*until),
                    Standing::Open
                    | Standing::Slowed(_)
                    | Standing::Trying { .. }
                    | Standing::Shut { .. } => None,
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turno_core::ids::AttemptId;
    use turno_core::quota::Quota;

    #[test]
    fn a_window_is_told_until_it_is_empty_again() {
        let mut gate = Gate::new("claude".parse().unwrap());
        for (window, fill, resets) in [
            ("five-hour", QuotaFill::Percent(83), Some(900)),
            ("gone", QuotaFill::Full, Some(500)),
            ("near", QuotaFill::Near, None),
        ] {
            let quota = Quota {
                window: window.to_owned(),
                fill,
                resets: resets.map(Timestamp),
            };
            gate.saw(&quota, Timestamp(1), AttemptId(1));
        }
        let told = |now| {
            let card = AccountCard::of(&gate, Timestamp(now));
            let windows = card.windows.into_iter();
            windows.map(|w| (w.name, w.percent)).collect::<Vec<_>>()
        };
        let near = || ("near".to_owned(), None);
        assert_eq!(told(600), [("five-hour".to_owned(), Some(83)), near()]);
        assert_eq!(told(900), [near()]);
    }
}
