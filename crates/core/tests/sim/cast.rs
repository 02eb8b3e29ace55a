//! Owns the fixed parts of every world: personas, policy, checks, and short words for values.

use turno_core::check::{Check, LogRef};
use turno_core::config::{AgentLimits, Config};
use turno_core::failure::Cause;
use turno_core::issue::{IssueDraft, Priority};
use turno_core::persona::{Access, Effort, Model, Persona, Role, Tools};
use turno_core::policy::{Policy, ReviewRule, TryRow, UncheckedRule};
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Tokens};

pub(crate) fn spend(micros: u64) -> Spend {
    Spend {
        cost: MicroUsd(micros),
        basis: CostBasis::Estimated,
        tokens: Tokens::default(),
    }
}

pub(crate) fn log() -> LogRef {
    LogRef {
        path: "attempts/1/out".to_owned(),
        bytes: 0,
    }
}

pub(crate) fn draft(title: &str) -> IssueDraft {
    IssueDraft {
        title: title.to_owned(),
        body: "do it".to_owned(),
        acceptance: Vec::new(),
        priority: Priority::Normal,
        labels: Vec::new(),
    }
}

pub(crate) fn persona(name: &str, role: Role, agents: &[&str]) -> Persona {
    Persona {
        name: name.parse().unwrap(),
        description: String::new(),
        role,
        agents: agents.iter().map(|a| a.parse().unwrap()).collect(),
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: if role == Role::Reviewer {
            Access::Read
        } else {
            Access::Write
        },
        tools: Tools::ByAccess,
        budget: MicroUsd(200_000),
        wall_clock: Span(10_000),
        prompt: String::new(),
    }
}

pub(crate) fn config(slots: u16) -> Config {
    let row = |tries, wait| TryRow {
        tries,
        wait: Span(wait),
    };
    let rows = Cause::ALL
        .into_iter()
        .map(|cause| match cause {
            Cause::SignIn => (cause, row(0, 0)),
            Cause::Provider | Cause::Quota => (cause, row(4, 100)),
            Cause::Lost => (cause, row(20, 0)),
            _ => (cause, row(3, 10)),
        })
        .collect();
    Config {
        policy: Policy {
            name: "feature-dev".parse().unwrap(),
            description: String::new(),
            review: ReviewRule::Required,
            unchecked: UncheckedRule::Refuse,
            check_reruns: 1,
            silence: Span(5000),
            least_start: MicroUsd(20_000),
            longest_wait: Span(2000),
            rows,
        },
        personas: vec![
            persona("engineer", Role::Engineer, &["claude", "codex"]),
            persona("second", Role::Engineer, &["codex"]),
            persona("reviewer", Role::Reviewer, &["codex", "claude"]),
        ],
        agents: [("claude", 2), ("codex", 3)]
            .into_iter()
            .map(|(n, at_once)| (n.parse().unwrap(), AgentLimits { at_once }))
            .collect(),
        checks: vec![Check {
            name: "test".parse().unwrap(),
            command: "make test".to_owned(),
            timeout: Span(1000),
        }],
        slots,
    }
}
