//! Owns the fixed parts of every world: personas, policy, checks, and short words for values.

use turno_core::check::{Check, LogRef};
use turno_core::config::{AgentLimits, Budgets, Config, Confinement, Repo};
use turno_core::failure::Cause;
use turno_core::guard::{GuardKind, GuardRule};
use turno_core::ids::IssueId;
use turno_core::issue::{IssueDraft, Item, Items, Priority, Split};
use turno_core::ledger::{Allowance, Tariff};
use turno_core::liveness::Hears;
use turno_core::persona::{AtOnce, Effort, Model, Persona, Role, Tools};
use turno_core::policy::{
    AcceptRule, AccountRule, ClashRule, DecisionRule, FollowRule, NewTestsRule, Nobody, OverlapRule,
    PlanCaps, PlanRule, Policy, RedBaseRule, ReviewRule, TestRule, TrialRule, TryRow, UncheckedRule,
};
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Tokens};

use super::plan::{Fault, Mode, Plan};
use super::rng::Rng;

/// The time in which so many starts may fail.
pub(crate) const WITHIN: Span = Span(1500);

pub(crate) fn spend(micros: u64) -> Spend {
    Spend {
        cost: MicroUsd(micros),
        basis: CostBasis::Estimated,
        tokens: Tokens {
            input: micros / 10,
            ..Tokens::default()
        },
        turns: u32::try_from(micros / 10_000).unwrap_or(u32::MAX),
        counted: None,
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
        ..IssueDraft::default()
    }
}

/// An issue as a world of that mode has it.
pub(crate) fn issue_of(plan: &Plan, rng: &mut Rng, known: u32) -> IssueDraft {
    let mut draft = draft("work");
    if rng.chance(40) {
        draft.repo = "api".parse().unwrap();
    }
    draft.split = match plan.mode {
        Mode::Contest => Split::Candidates(3),
        Mode::Batch => Split::Items(Items {
            items: (0..rng.between(2, 6))
                .map(|n| Item {
                    title: format!("item {n}"),
                    brief: String::new(),
                    acceptance: Vec::new(),
                    touches: vec![format!("src/{n}/**")],
                })
                .collect(),
            group: u16::try_from(rng.between(1, 4)).unwrap(),
            trial: u16::try_from(rng.below(2)).unwrap(),
        }),
        _ => Split::ByPolicy,
    };
    if plan.mode == Mode::Single && known > 0 && rng.chance(25) {
        draft.needs = [IssueId(known)].into();
    }
    if plan.mode == Mode::Drain {
        draft.priority = rng.pick(&[Priority::Urgent, Priority::High, Priority::Normal, Priority::Low]);
        if known > 0 && rng.chance(40) {
            let need = u32::try_from(rng.between(1, u64::from(known))).unwrap();
            draft.needs = [IssueId(need)].into();
        }
    }
    draft
}

pub(crate) fn persona(name: &str, role: Role, agents: &[&str]) -> Persona {
    Persona {
        name: name.parse().unwrap(),
        description: String::new(),
        role,
        agents: agents.iter().map(|a| a.parse().unwrap()).collect(),
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: role.access(),
        tools: Tools::ByAccess,
        budget: MicroUsd(200_000),
        wall_clock: Span(10_000),
        at_once: AtOnce::NoLimit,
        prompt: String::new(),
    }
}

/// The policy and the team of a world.
pub(crate) fn config(plan: &Plan, rng: &mut Rng) -> Config {
    let mut config = base(plan.slots);
    let policy = &mut config.policy;
    let nobody = rng.pick(&[Nobody::Park, Nobody::Wait, Nobody::Recommended]);
    let deadline = Span(rng.between(500, 3000));
    policy.decisions = DecisionRule { nobody, deadline };
    policy.landing.batch = u8::try_from(plan.seed % 4 + 1).unwrap();
    policy.landing.follow = match plan.seed % 7 {
        0 => FollowRule::Off,
        1..=3 => FollowRule::Rebase,
        _ => FollowRule::Merge,
    };
    policy.landing.clashes = [
        ClashRule::Ignore,
        ClashRule::Tell,
        ClashRule::Order,
        ClashRule::Return,
    ][usize::try_from(plan.seed / 4 % 4).unwrap()];
    policy.red_base = rng.pick(&[
        RedBaseRule::Writer,
        RedBaseRule::Writer,
        RedBaseRule::Block,
        RedBaseRule::Task,
    ]);
    policy.trial = rng.pick(&[TrialRule::Person, TrialRule::AllLanded]);
    policy.caps = PlanCaps {
        tasks: 8,
        depth: 1,
        rounds: 2,
        repairs: 2,
        failures: u16::try_from(rng.between(8, 60)).unwrap(),
    };
    if plan.faults.contains(&Fault::Protected) {
        policy.protected = vec!["ci/**".to_owned()];
    }
    if plan.faults.contains(&Fault::Guarded) {
        policy.guards = [(GuardKind::Unseen, GuardRule::Allow)].into();
    }
    let accept = rng.pick(&[AcceptRule::Off, AcceptRule::Author, AcceptRule::Team]);
    match plan.mode {
        Mode::Single | Mode::Batch => {}
        Mode::Authored => {
            policy.plan = PlanRule::Author;
            policy.accept = accept;
            policy.overlap = rng.pick(&[OverlapRule::Wait, OverlapRule::Wait, OverlapRule::Start]);
        }
        Mode::Tested => {
            policy.tests = TestRule::EachChange;
            policy.new_tests = rng.pick(&[NewTestsRule::Pass, NewTestsRule::FailOnBase]);
            policy.accept = accept;
        }
        Mode::TestsFirst => {
            policy.tests = TestRule::First;
            if rng.chance(50) {
                policy.plan = PlanRule::Author;
            }
        }
        Mode::Repair => policy.plan = PlanRule::Checks,
        Mode::Drain => {
            policy.plan = rng.pick(&[PlanRule::Single, PlanRule::Single, PlanRule::Author]);
            config.urgent_slots = u16::from(plan.slots > 2 && rng.chance(40));
        }
        Mode::Contest => {
            policy.review = rng.pick(&[ReviewRule::Off, ReviewRule::Required]);
            policy.accept = rng.pick(&[AcceptRule::Off, AcceptRule::Author]);
        }
    }
    policy.accounts = AccountRule {
        failing_starts: 3,
        within: WITHIN,
        wait: Span(rng.between(500, 2000)),
        rounds: u8::try_from(rng.between(1, 3)).unwrap(),
        pace: Span(rng.between(100, 1000)),
        ease: Span(rng.between(500, 3000)),
        longest_quota_wait: Span(60_000),
    };
    if plan.faults.contains(&Fault::Budgets) {
        budgets(&mut config, plan, rng);
    }
    if rng.chance(30) {
        config.personas[1].at_once = AtOnce::Limit(1);
    }
    config
}

/// Limits at some of the levels, in some of the measures.
fn budgets(config: &mut Config, plan: &Plan, rng: &mut Rng) {
    // Where agents spend little, limits are small too.
    let scale = if plan.faults.contains(&Fault::Spends) {
        1
    } else {
        10
    };
    let mut allowance = |least: u64| Allowance {
        usd: rng
            .chance(50)
            .then(|| MicroUsd(rng.between(least, least * 10) * 10_000 / scale)),
        tokens: rng
            .chance(30)
            .then(|| rng.between(least, least * 10) * 1000 / scale),
        wall: rng
            .chance(20)
            .then(|| Span(rng.between(least, least * 10) * 3000)),
        turns: rng
            .chance(20)
            .then(|| u32::try_from(rng.between(least, least * 10)).unwrap()),
    };
    config.budgets = Budgets {
        task: allowance(3),
        issue: allowance(6),
        shift: allowance(10),
        day: allowance(12),
    };
    config.policy.least_start = MicroUsd(20_000 / scale);
    for limits in config.agents.values_mut() {
        limits.allowance = allowance(8);
    }
    if plan.seed.is_multiple_of(3) {
        for limits in config.agents.values_mut().take(1) {
            limits.tariff = Tariff::Flat;
        }
    }
}

fn base(slots: u16) -> Config {
    let rows = Cause::ALL
        .into_iter()
        .map(|cause| match cause {
            Cause::SignIn => (cause, 0, 0),
            Cause::Provider | Cause::Quota | Cause::RateLimited => (cause, 4, 100),
            Cause::Lost => (cause, 20, 0),
            _ => (cause, 3, 10),
        })
        .map(|(cause, tries, wait)| (cause, TryRow::new(cause, tries, Span(wait))))
        .collect();
    Config {
        policy: Policy {
            name: "feature-dev".parse().unwrap(),
            description: String::new(),
            review: ReviewRule::Required,
            unchecked: UncheckedRule::Refuse,
            check_reruns: 1,
            silence: Span(1500),
            silence_hard: Span(3000),
            longest_command: Span(6000),
            no_progress: Span(4000),
            least_start: MicroUsd(20_000),
            longest_wait: Span(2000),
            test_paths: vec!["tests/**".to_owned()],
            rows,
            ..Policy::new("feature-dev".parse().unwrap())
        },
        personas: vec![
            persona("engineer", Role::Engineer, &["claude", "codex"]),
            persona("second", Role::Engineer, &["codex"]),
            persona("reviewer", Role::Reviewer, &["codex", "claude"]),
            persona("tester", Role::Tester, &["codex", "claude"]),
            persona("author", Role::Author, &["claude"]),
        ],
        agents: [("claude", 2), ("codex", 4)]
            .into_iter()
            .map(|(n, at_once)| {
                (
                    n.parse().unwrap(),
                    AgentLimits {
                        at_once,
                        tariff: Tariff::Metered,
                        allowance: Allowance::NONE,
                        hears: if n == "claude" {
                            Hears::Nudges
                        } else {
                            Hears::Nothing
                        },
                    },
                )
            })
            .collect(),
        checks: vec![check("test"), check("lint")],
        slots,
        repos: [(
            "api".parse().unwrap(),
            Repo {
                checks: vec![check("contract")],
            },
        )]
        .into(),
        urgent_slots: 0,
        confinement: Confinement::Off,
        budgets: Budgets::default(),
        disk_wait: Span(2000),
    }
}

fn check(name: &str) -> Check {
    Check {
        name: name.parse().unwrap(),
        command: format!("make {name}"),
        timeout: Span(1000),
        network: turno_core::check::Reach::None,
        within: turno_core::container::Within::Sandbox,
    }
}
