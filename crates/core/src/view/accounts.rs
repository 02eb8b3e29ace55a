//! Owns what is shown of agents' accounts: their windows, as providers told of them, and whether they may be started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::{Closing, Gate, Standing, Trial, Window};
use crate::ids::AgentName;
use crate::quota::QuotaFill;
use crate::state::State;
use crate::units::Timestamp;

/// One agent's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Whose.
    pub agent: AgentName,
    /// Whether it may be started.
    pub standing: Standing,
    /// What its provider told of its windows, by their names.
    pub windows: BTreeMap<String, Window>,
}

/// The accounts of which anything is known.
pub(super) fn accounts(state: &State) -> Vec<AccountView> {
    let known = |gate: &Gate| gate.standing != Standing::Open || !gate.windows.is_empty();
    state
        .gates
        .values()
        .filter(|gate| known(gate))
        .map(|gate| AccountView {
            agent: gate.agent.clone(),
            standing: gate.standing.clone(),
            windows: gate.windows.clone(),
        })
        .collect()
}

impl AccountView {
    /// What there is to say of it now, one part for each thing, in words; `at` words a time. A window that has been
    /// emptied since is not spoken of: nobody knows how full it is.
    pub fn phrases(&self, now: Timestamp, at: impl Fn(Timestamp) -> String) -> Vec<String> {
        let windows = self.windows.iter().filter_map(|(name, window)| {
            match (window.resets, window.fill) {
                (Some(resets), _) if resets <= now => None,
                // When it was full and when that ends was not told, the standing says what follows.
                (Some(resets), fill) => Some(format!("{name} {fill}, resets {}", at(resets))),
                (None, QuotaFill::Open) => None,
                (None, fill) => Some(format!("{name} {fill}")),
            }
        });
        windows.chain(self.standing_phrase(&at)).collect()
    }

    fn standing_phrase(&self, at: &impl Fn(Timestamp) -> String) -> Option<String> {
        match &self.standing {
            Standing::Open => None,
            Standing::Slowed(pace) => Some(format!("one start every {}", pace.every)),
            Standing::Closed { until, why } => {
                let why = match why {
                    Closing::Window(name) => format!("its {name} limit is reached"),
                    Closing::Failure(_) | Closing::Pace { .. } | Closing::Starts(_) => {
                        why.cause().phrase().to_owned()
                    }
                };
                Some(format!("not started before {}: {why}", at(*until)))
            }
            Standing::Trying { trial, failure } => {
                let who = match trial {
                    Trial::Due => "the next start".to_owned(),
                    Trial::Runs(attempt) => attempt.to_string(),
                };
                Some(format!(
                    "{who} shows whether it works again: {}",
                    failure.cause.phrase()
                ))
            }
            Standing::Shut { failure } => Some(format!(
                "not started again in this shift: {}",
                failure.cause.phrase()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Cause, Failure};
    use crate::ids::AttemptId;
    use crate::quota::Quota;

    #[test]
    fn an_account_is_told_in_words() {
        let mut gate = Gate::new("claude".parse().unwrap());
        let mut saw = |window: &str, fill, resets: Option<i64>| {
            let quota = Quota {
                window: window.to_owned(),
                fill,
                resets: resets.map(Timestamp),
            };
            gate.saw(&quota, Timestamp(1), AttemptId(1));
        };
        saw("five-hour", QuotaFill::Percent(83), Some(900));
        saw("gone", QuotaFill::Full, Some(500));
        saw("open", QuotaFill::Open, None);
        saw("other", QuotaFill::Near, None);
        let mut view = AccountView {
            agent: gate.agent.clone(),
            standing: Standing::Open,
            windows: gate.windows,
        };
        let now = Timestamp(500);
        let clock = |at: Timestamp| format!("at {}", at.0);
        let windows = ["five-hour 83 % used, resets at 900", "other nearly used up"];
        assert_eq!(view.phrases(now, clock), windows);
        view.windows.clear();
        let failure = Failure::new(Cause::Quota, "");
        let standings = [
            (
                Standing::Closed {
                    until: Timestamp(900),
                    why: Closing::Window("five-hour".to_owned()),
                },
                "not started before at 900: its five-hour limit is reached",
            ),
            (
                Standing::Trying {
                    trial: Trial::Runs(AttemptId(7)),
                    failure: failure.clone(),
                },
                "a7 shows whether it works again: the account's quota is used up",
            ),
            (
                Standing::Shut { failure },
                "not started again in this shift: the account's quota is used up",
            ),
        ];
        for (standing, words) in standings {
            view.standing = standing;
            assert_eq!(view.phrases(now, clock), [words]);
        }
    }
}
