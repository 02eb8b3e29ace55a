//! `[budget]` and the accounts of agents: what may be written, and what is said when it starts nothing.

use rstest::rstest;
use turno_core::ledger::{Allowance, Tariff};
use turno_core::units::{MicroUsd, Span};
use turno_engine::config;

use crate::{error, repo};

#[test]
fn every_level_has_its_limits() {
    let text = "\
[budget]
shift_usd = 20
shift = { wall = '8h', turns = 400 }
task = { usd = 2.5 }
day = { tokens = '2M' }
[agents.claude]
plan = 'flat'
budget = { tokens = 500000 }
";
    let core = config::build(&repo(text)).unwrap().core;
    let none = Allowance::NONE;
    assert_eq!(
        core.budgets.task,
        Allowance {
            usd: Some(MicroUsd(2_500_000)),
            ..none
        }
    );
    assert_eq!(core.budgets.issue, none);
    assert_eq!(
        core.budgets.shift,
        Allowance {
            wall: Some(Span::seconds(8 * 3600)),
            turns: Some(400),
            ..none
        }
    );
    assert_eq!(
        core.budgets.day,
        Allowance {
            tokens: Some(2_000_000),
            ..none
        }
    );
    let claude = &core.agents[&"claude".parse().unwrap()];
    assert_eq!(
        (claude.tariff, claude.allowance.tokens),
        (Tariff::Flat, Some(500_000))
    );
    let codex = &core.agents[&"codex".parse().unwrap()];
    assert_eq!((codex.tariff, codex.allowance), (Tariff::Metered, none));
}

#[rstest]
#[case("[budget.task]\ntokens = 0\n", "a limit of nothing starts nothing")]
#[case("[budget.day]\nusd = 0.001\n", "no attempt is started with less than")]
#[case("[budget.issue]\ntokens = '2 million'\n", "like 500000, 500k or 2M")]
#[case("[budget.issue]\nwall = '3 hours'\n", "90s, 15m, 2h")]
#[case("[agents.claude]\nbudget = { turns = 0 }\n", "agents.claude.budget.turns")]
#[case("[agents.claude]\nplan = 'free'\n", "agents.claude.plan")]
#[case("[budget.shift]\nusd = 5\n", "there is tokens, wall, turns")]
fn what_starts_nothing_is_a_mistake(#[case] text: &str, #[case] says: &str) {
    let error = error(&repo(text));
    assert!(error.contains(says), "{error}");
}
