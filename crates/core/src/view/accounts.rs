//! Owns what is shown of the windows of agents' accounts, as providers told of them. Whether an account may be started
//! is its gate's to say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::Window;
use crate::ids::AgentName;
use crate::quota::QuotaFill;
use crate::state::State;
use crate::units::Timestamp;

/// One agent's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Whose.
    pub agent: AgentName,
    /// What its provider told of its windows, by their names.
    pub windows: BTreeMap<String, Window>,
}

/// The accounts of which a window is known.
pub(super) fn accounts(state: &State) -> Vec<AccountView> {
    state
        .gates
        .values()
        .filter(|gate| !gate.windows.is_empty())
        .map(|gate| AccountView {
            agent: gate.agent.clone(),
            windows: gate.windows.clone(),
        })
        .collect()
}

impl AccountView {
    /// What there is to say of it now, one part for each thing, in words; `at` words a time. A window that has been
    /// emptied since is not spoken of: nobody knows how full it is.
    pub fn phrases(&self, now: Timestamp, at: impl Fn(Timestamp) -> String) -> Vec<String> {
        let windows = self
            .windows
            .iter()
            .filter_map(|(name, window)| match (window.resets, window.fill) {
                (Some(resets), _) if resets <= now => None,
                (Some(resets), fill) => Some(format!("{name} {fill}, resets {}", at(resets))),
                (None, QuotaFill::Open) => None,
                (None, fill) => Some(format!("{name} {fill}")),
            });
        windows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;
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
        let view = AccountView {
            agent: gate.agent.clone(),
            windows: gate.windows,
        };
        let clock = |at: Timestamp| format!("at {}", at.0);
        let windows = ["five-hour 83 % used, resets at 900", "other nearly used up"];
        assert_eq!(view.phrases(Timestamp(500), clock), windows);
    }
}
