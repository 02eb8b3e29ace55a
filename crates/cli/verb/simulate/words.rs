//! Owns how a forecast is told to people: tables, and what it rests on. It computes no forecast.

use std::path::Path;

use turno_core::config::Config;
use turno_core::ledger::Measure;
use turno_core::persona::Role;
use turno_core::units::{MicroUsd, Span, Timestamp};
use turno_engine::simulate::{Amount, Evidence, Forecast, Lack, Model, Purse, Range};

use crate::print;
use crate::verb::end_words;

/// The width of tables and pictures.
pub(super) const WIDTH: usize = 100;
/// With fewer observations little is known.
const FEW: usize = 10;

/// Cents are all that a forecast can mean.
fn money(micros: u64) -> String {
    print::dollars(MicroUsd(micros))
}

fn line(what: &str, range: &Range, show: impl Fn(u64) -> String) -> String {
    format!(
        "  {what:<20}{:>12}{:>12}{:>12}",
        show(range.p10),
        show(range.p50),
        show(range.p90)
    )
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 {
        "under 1 %".to_owned()
    } else {
        format!("{:.0} %", share * 100.0)
    }
}

/// The forecast itself.
pub(super) fn forecast(config: &Config, told: &Forecast, begins: Timestamp) -> Vec<String> {
    let policy = &config.policy;
    let mut lines = vec![
        print::bold(&format!(
            "{}: {} issue(s), {} slot(s), a budget of {}, {} simulated night(s)",
            policy.name,
            told.issues,
            told.slots,
            MicroUsd(told.budget_micros),
            told.nights
        )),
        String::new(),
        format!("  {:<20}{:>12}{:>12}{:>12}", "", "1 in 10", "half", "9 in 10"),
        line("issues that land", &told.landed, |n| n.to_string()),
        line("tasks that land", &told.tasks_landed, |n| n.to_string()),
        line("cost", &told.cost_micros, money),
        line("tokens", &told.tokens, print::count),
        line("ends after", &told.took_ms, |ms| print::lasting(Span(ms))),
        line("begun now, at", &told.took_ms, |ms| {
            print::moment(begins + Span(ms))[5..].to_owned()
        }),
        format!("  {}", print::dim("of the nights stay at or below the figure")),
        String::new(),
    ];
    if told.nothing_starts > 0.0 {
        let least = if told.budget_micros < policy.least_start.0 {
            format!(
                ": the policy starts no attempt with less than {}",
                policy.least_start
            )
        } else {
            String::new()
        };
        lines.push(format!(
            "Nothing starts in {} of the nights{least}.",
            percent(told.nothing_starts)
        ));
    }
    let ends: Vec<String> = told
        .ends
        .iter()
        .map(|e| format!("{} {}", end_words(e.end), percent(e.share)))
        .collect();
    lines.push(format!("How it ends: {}.", ends.join(", ")));
    if !told.short.is_empty() {
        let short: Vec<String> = told
            .short
            .iter()
            .map(|s| format!("{} {}", lack(&s.lack), percent(s.share)))
            .collect();
        lines.push(format!("Which budget ends it: {}.", short.join(", ")));
    }
    if told.held.is_empty() {
        lines.push("Every issue landed in every night.".to_owned());
    } else {
        lines.push(format!(
            "Why issues do not land, of {} each night, in the mean:",
            told.issues
        ));
        for held in &told.held {
            lines.push(format!("  {:>6.2}  {}", held.issues, held.why));
        }
    }
    if told.over_budget_micros > 0 {
        lines.push(format!(
            "The budget holds to within the last message of each agent: at most {} more in any night.",
            money(told.over_budget_micros)
        ));
    }
    lines
}

/// A budget that was spent.
fn lack(lack: &Lack) -> String {
    let of = match &lack.of {
        Purse::Day => "the day's".to_owned(),
        Purse::Shift => "the shift's".to_owned(),
        Purse::Agent(agent) => format!("that of agent {agent} on its day"),
        Purse::Issue => "an issue's".to_owned(),
        Purse::Task => "a task's".to_owned(),
    };
    let measure = match lack.measure {
        Measure::Usd => "money",
        Measure::Tokens => "tokens",
        Measure::Wall => "time of agents",
        Measure::Turns => "turns",
    };
    format!("{of} ({measure})")
}

/// What more slots bring.
pub(super) fn slots(compared: &[Forecast]) -> Vec<String> {
    let Some(first) = compared.first() else {
        return Vec::new();
    };
    let mut lines = vec![
        String::new(),
        format!(
            "How many slots are worth it, in {} nights each, half of them at or below:",
            first.nights
        ),
        format!("  {:>5}{:>12}{:>12}{:>12}", "slots", "land", "ends after", "cost"),
    ];
    for told in compared {
        lines.push(format!(
            "  {:>5}{:>12}{:>12}{:>12}",
            told.slots,
            told.landed.p50,
            print::lasting(Span(told.took_ms.p50)),
            money(told.cost_micros.p50)
        ));
    }
    lines
}

/// What a forecast rests on, in sentences.
pub(super) fn assumptions(
    config: &Config,
    model: &Model,
    shifts: usize,
    evidence: &[Evidence],
    file: Option<&Path>,
) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(file) = file {
        told.push(format!(
            "what is not learned is assumed as {} says, and else as is built in",
            file.display()
        ));
    }
    if shifts == 0 {
        told.push(format!(
            "nothing is known of your agents: {}. Take it as an order of magnitude; --history all learns from your \
             own shifts, --assume FILE takes your own figures",
            Role::Engineer.sentence(model)
        ));
    } else {
        let seen: Vec<String> = evidence
            .iter()
            .map(|e| {
                let little = if e.seen < FEW { ": little is known" } else { "" };
                format!("{} from {} run(s){little}", e.of, e.seen)
            })
            .collect();
        told.push(format!(
            "learned from {shifts} finished shift(s): {}",
            seen.join("; ")
        ));
        let unseen: Vec<String> = config
            .personas
            .iter()
            .flat_map(|p| p.agents.iter().map(move |a| (p, a)))
            .filter(|(p, a)| !model.known.contains_key(&(p.name.clone(), (*a).clone())))
            .map(|(p, a)| format!("{} by {a}", p.name))
            .collect();
        if !unseen.is_empty() {
            told.push(format!("never seen, so assumed: {}", unseen.join(", ")));
        }
    }
    told.push(match model.person {
        turno_engine::simulate::Person::Absent => "nobody answers questions: it is night".to_owned(),
        turno_engine::simulate::Person::AnswersAfter(ms) => {
            format!(
                "a person answers each question after {}",
                print::lasting(Span(ms))
            )
        }
    });
    told.push(
        "not simulated: what guards find, tasks that agents propose, issues that arrive meanwhile, crashes of this \
         machine, and others who use the same accounts"
            .to_owned(),
    );
    told.push(
        "the ranges hold luck and how little is known of the typical values; they do not hold that the work itself may \
         be unlike what was seen"
            .to_owned(),
    );
    told
}

/// A role's typical attempt, in words.
trait Sentence {
    fn sentence(self, model: &Model) -> String;
}

impl Sentence for Role {
    fn sentence(self, model: &Model) -> String {
        let habit = model.of_role(self).work;
        let typical = |amount: Amount| amount.mu.exp().round() as u64;
        format!(
            "an {self}'s attempt is assumed to take {} and to cost {} half of the time, within a factor of {:.1} two \
             times of three",
            print::lasting(Span(typical(habit.takes))),
            money(typical(habit.costs)),
            habit.takes.sigma.exp()
        )
    }
}
