//! Puts the numbers of a report into words, tables and pictures: costs, time, waits, the landing queue, checks, and
//! what was found, asked and learnt.

use std::fmt::Display;

use turno_core::contact::Answer;
use turno_core::decision::{AnsweredBy, DecisionStage};
use turno_core::holding::Leaving;
use turno_core::lesson::LessonStage;
use turno_core::report::{Attempt, Ending, Report, Share, Stay, Visited, With};
use turno_core::units::{MicroUsd, Span, Tokens};
use turno_core::view::{RunBy, RunPlace};

use super::page::{Drawing, Part, Section, Table};
use super::words::actor;
use crate::picture::{Bar, Clock, Gantt, Paint, Plot, Row, Went, svg};
use crate::print::{self, count, dollars, lasting, plain};

/// The sections of numbers.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let section = |id, heading, parts| Section {
        id,
        heading,
        count: String::new(),
        parts,
    };
    vec![
        section("time", "Over time", pictures(report)),
        section("cost", "What it cost", costs(report)),
        section("waits", "What waited, and for what", waits(report)),
        section("queue", "Landing and checks", queue(report)),
        section("found", "Noticed on the way", found(report)),
        section("asked", "Questions and answers", asked(report)),
        section("lessons", "Lessons", lessons(report)),
        section("since", "Since then", since(report)),
    ]
}

fn pictures(report: &Report) -> Vec<Part> {
    if report.attempts.is_empty() {
        return Vec::new();
    }
    let (from, to) = (report.shift.started, report.shift.end.at());
    let plot = Plot {
        clock: Clock::OfDay,
        from,
        to,
        points: report.spending.iter().map(|p| (p.at, p.spent)).collect(),
        limits: report.budgets.iter().map(|b| (b.at, b.budget)).collect(),
    };
    let mut rows: Vec<Row> = (1..=report.shift.slots)
        .map(|n| Row {
            label: format!("s{n}"),
            bars: Vec::new(),
        })
        .collect();
    let mut landing = Row {
        label: "landing".to_owned(),
        bars: Vec::new(),
    };
    for attempt in &report.attempts {
        let bar = bar(attempt, report);
        match attempt.place {
            RunPlace::Landing => landing.bars.push(bar),
            RunPlace::Slot(slot) => {
                let label = slot.to_string();
                match rows.iter_mut().find(|r| r.label == label) {
                    Some(row) => row.bars.push(bar),
                    // A slot that the configuration does not have any more.
                    None => rows.push(Row {
                        label,
                        bars: vec![bar],
                    }),
                }
            }
        }
    }
    rows.push(landing);
    let gantt = Gantt {
        clock: Clock::OfDay,
        from,
        to,
        rows,
        queue: report.waits.queue.iter().map(|q| (q.at, q.tasks)).collect(),
    };
    vec![
        Part::Picture {
            caption: "Money spent, against the budget",
            svg: svg::plot(&plot, "plot"),
            legend: Vec::new(),
            drawing: Box::new(Drawing::Plot(plot)),
        },
        Part::Picture {
            caption: "Slots: what each did when",
            svg: svg::gantt(&gantt, "gantt"),
            legend: gantt.kinds().into_iter().map(|k| (k.class(), k.word())).collect(),
            drawing: Box::new(Drawing::Gantt(gantt)),
        },
    ]
}

fn bar(attempt: &Attempt, report: &Report) -> Bar {
    let to = attempt.to.unwrap_or(report.shift.end.at());
    let paint = Paint::of(attempt.kind);
    let by = match &attempt.by {
        RunBy::Agent { persona, agent } => format!("{persona} ({agent})"),
        RunBy::Turno => "turno".to_owned(),
    };
    let (went, how) = match attempt.ending {
        Ending::Running => (Went::Well, "still running".to_owned()),
        Ending::Done => (Went::Well, "done".to_owned()),
        Ending::Asked => (Went::Well, "ended with a question".to_owned()),
        Ending::SentBack => (Went::Badly, "sent it back".to_owned()),
        Ending::Failed { cause } => (Went::Badly, cause.phrase().to_owned()),
    };
    let mut tasks = vec![attempt.task.to_string()];
    tasks.extend(attempt.with.iter().map(ToString::to_string));
    Bar {
        from: attempt.from,
        to,
        paint,
        went,
        label: attempt.task.to_string(),
        title: format!(
            "{}: {} {} for {}, {} to {} ({}), {}: {how}",
            attempt.id,
            by,
            paint.word(),
            tasks.join(", "),
            print::clock(attempt.from),
            print::clock(to),
            lasting(to.since(attempt.from)),
            dollars(attempt.cost),
        ),
        pauses: attempt.pauses.iter().map(|p| (p.from, p.to)).collect(),
    }
}

fn shares<K: Display>(caption: &'static str, of: &'static str, shares: &[Share<K>]) -> Option<Part> {
    if shares.is_empty() {
        return None;
    }
    let mut table = Table::new(
        caption,
        &[
            of,
            ">Cost",
            ">Share",
            ">Attempts",
            ">Time",
            ">Tokens in",
            ">Cached",
            ">Tokens out",
        ],
    );
    let all: MicroUsd = shares.iter().map(|s| s.cost).sum();
    let mut tokens = Tokens::default();
    let (mut attempts, mut time) = (0, 0_u64);
    for share in shares {
        let part = share.cost.0.saturating_mul(100) / all.0.max(1);
        table.rows.push(row(
            plain(&share.of.to_string(), 80),
            share.cost,
            &format!("{part} %"),
            share.attempts,
            share.time_ms,
            share.tokens,
        ));
        tokens += share.tokens;
        attempts += share.attempts;
        time = time.saturating_add(share.time_ms);
    }
    table.sums = Some(row("all".to_owned(), all, "", attempts, time, tokens));
    Some(Part::Table(table))
}

fn row(of: String, cost: MicroUsd, part: &str, attempts: u32, time: u64, tokens: Tokens) -> Vec<String> {
    vec![
        of,
        dollars(cost),
        part.to_owned(),
        attempts.to_string(),
        lasting(Span(time)),
        count(tokens.input.saturating_add(tokens.cache_write)),
        count(tokens.cache_read),
        count(tokens.output),
    ]
}

fn costs(report: &Report) -> Vec<Part> {
    let costs = &report.costs;
    let named = |share: &Share<turno_core::ids::IssueId>| {
        let issue = report.issues.iter().find(|i| i.id == share.of);
        let title = issue.map(|i| i.title.as_str()).unwrap_or_default();
        Share {
            of: format!("issue {} {}", share.of, plain(title, 60)),
            cost: share.cost,
            tokens: share.tokens,
            attempts: share.attempts,
            time_ms: share.time_ms,
        }
    };
    let outcomes: Vec<Share<&str>> = costs
        .by_outcome
        .iter()
        .map(|share| Share {
            of: share.of.phrase(),
            cost: share.cost,
            tokens: share.tokens,
            attempts: share.attempts,
            time_ms: share.time_ms,
        })
        .collect();
    let issues: Vec<Share<String>> = costs.by_issue.iter().map(named).collect();
    let mut parts: Vec<Part> = [
        shares("Cost by outcome", "What for", &outcomes),
        shares("Cost by persona", "Persona", &costs.by_persona),
        shares("Cost by agent", "Agent", &costs.by_agent),
        shares("Cost by issue", "Issue", &issues),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut notes = Vec::new();
    if costs.meter.attempts > 0 {
        let (metered, charged) = (costs.meter.metered, costs.meter.charged);
        notes.push(format!(
            "While they ran, {} attempt(s) were metered at {}; in the end they were charged {} ({}).",
            costs.meter.attempts,
            dollars(metered),
            dollars(charged),
            match (charged.less(metered).0, metered.less(charged).0) {
                (0, 0) => "no difference".to_owned(),
                (0, less) => format!("{} less", dollars(MicroUsd(less))),
                (more, _) => format!("{} more", dollars(MicroUsd(more))),
            }
        ));
    }
    if costs.unknown.0 > 0 {
        notes.push(format!(
            "{} of it is the reserve of attempts of which nothing is known.",
            dollars(costs.unknown)
        ));
    }
    if costs.elsewhere.0 > 0 {
        notes.push(format!(
            "{} were booked by no attempt of this shift.",
            dollars(costs.elsewhere)
        ));
    }
    if !notes.is_empty() && !parts.is_empty() {
        parts.push(Part::List(notes));
    }
    let visits = report.visits.iter().map(|v| visited(v, report));
    let visits: Vec<String> = visits.collect();
    if !visits.is_empty() {
        parts.push(Part::List(visits));
    }
    parts
}

/// A person at an agent's terminal, whose cost is in no figure.
fn visited(visit: &Visited, report: &Report) -> String {
    let stayed = lasting(visit.span(report.shift.end.at()));
    let (agent, left) = match &visit.stay {
        Stay::GoesOn => (String::new(), "still there".to_owned()),
        Stay::Left { leaving, with, .. } => {
            let (agent, what) = match with {
                With::Nothing => (String::new(), "changed nothing".to_owned()),
                With::Candidate { commit, agent } => (
                    format!(" at {agent}'s terminal"),
                    format!("left {}", commit.short()),
                ),
            };
            let how = match leaving {
                Leaving::GoesOn => "",
                Leaving::Kept => " and keep it aside",
                Leaving::Lost => " and were found gone",
            };
            (agent, format!("{what}{how}"))
        }
    };
    format!(
        "Not metered: you were attached to task {} for {stayed} from {}{agent}; {left}.",
        visit.task,
        print::clock(visit.from),
    )
}

fn waits(report: &Report) -> Vec<Part> {
    let mut sums = Table::new("Waits by what was waited for", &["Waited", ">Times", ">Added up"]);
    for sum in &report.waits.sums {
        sums.rows.push(vec![
            sum.kind.phrase().to_owned(),
            sum.waits.to_string(),
            lasting(Span(sum.time_ms)),
        ]);
    }
    let mut longest = Table::new("The longest waits", &["Task", ">Waited", "From", "Why"]);
    for wait in report.waits.longest.iter().take(8) {
        longest.rows.push(vec![
            wait.task.to_string(),
            lasting(wait.span()),
            print::clock(wait.from),
            plain(&wait.why, 200),
        ]);
    }
    let tables = [sums, longest];
    tables
        .into_iter()
        .filter(|t| !t.rows.is_empty())
        .map(Part::Table)
        .collect()
}

fn queue(report: &Report) -> Vec<Part> {
    let landings = &report.landings;
    let mut parts = Vec::new();
    if landings.runs > 0 {
        let mut told = vec![
            format!(
                "{} landing(s) were tried, {} change(s) landed",
                landings.runs, landings.landed
            ),
            format!(
                "changes waited {} for their turn, the longest {}",
                lasting(Span(landings.waited_ms)),
                lasting(Span(landings.longest_ms))
            ),
        ];
        for (many, what) in [
            (landings.together, "change(s) landed together with others"),
            (landings.red, "time(s) the integrated tree was red; nothing moved"),
            (landings.conflicts, "change(s) did not apply to what had landed"),
            (landings.raced, "time(s) the branch had moved meanwhile"),
        ] {
            if many > 0 {
                told.push(format!("{many} {what}"));
            }
        }
        parts.push(Part::List(told));
    }
    if !report.checks.is_empty() {
        let mut table = Table::new(
            "Checks",
            &[
                "Check", ">Runs", ">Red", ">Flaky", ">Not run", ">Known", ">Ran for", ">Saved",
            ],
        );
        for check in &report.checks {
            table.rows.push(vec![
                check.check.to_string(),
                check.runs.to_string(),
                check.red.to_string(),
                check.flaky.to_string(),
                check.not_run.to_string(),
                check.known.to_string(),
                lasting(Span(check.time_ms)),
                lasting(Span(check.saved_ms)),
            ]);
        }
        parts.push(Part::Table(table));
        let known: u32 = report.checks.iter().map(|c| c.known).sum();
        if known > 0 {
            parts.push(Part::Note(format!(
                "{known} time(s) a check was known to be as it was and not run again."
            )));
        }
    }
    parts
}

fn found(report: &Report) -> Vec<Part> {
    let tampered = report.tampering.iter().take(40).map(|t| {
        let what = plain(&t.what, 300);
        format!(
            "{} repository changed while {} ran: {what}",
            print::clock(t.at),
            t.attempt
        )
    });
    let guards = report.guards.iter().take(40).map(|g| {
        let task = g.task.map_or_else(|| "a change".to_owned(), |t| t.to_string());
        format!("{task}: {}", plain(&g.found.to_string(), 300))
    });
    let refused = report.network.refused.iter().take(40).map(|r| {
        let by: Vec<String> = r.attempts.iter().take(6).map(ToString::to_string).collect();
        let how = match r.contact.answer {
            Answer::Allowed => "let through",
            Answer::NotListed => "refused, no rule names it (network.allow)",
            Answer::PrivateAddress => "refused, it leads to a private address",
            Answer::Unresolved => "it has no address",
            Answer::Unreachable => "it did not answer",
        };
        let (host, port, times) = (plain(&r.contact.host, 120), r.contact.port, r.contact.times);
        format!(
            "network: {host}:{port} {how}, {times} time(s), by {}",
            by.join(", ")
        )
    });
    let mut all: Vec<String> = tampered.chain(guards).chain(refused).collect();
    if report.network.others > 0 {
        all.push(format!(
            "network: {} more request(s) of other hosts",
            report.network.others
        ));
    }
    for check in report.checks.iter().filter(|c| c.flaky > 0) {
        all.push(format!(
            "flaky: {} was red and then green at the same tree, {} time(s)",
            check.check, check.flaky
        ));
    }
    if all.is_empty() {
        Vec::new()
    } else {
        vec![Part::List(all)]
    }
}

fn asked(report: &Report) -> Vec<Part> {
    let mut table = Table::new("Questions and answers", &["Which", "Task", "Question", "Answer"]);
    for asked in &report.decisions {
        let by = asked.by.as_ref().map_or_else(|| "turno".to_owned(), actor);
        let answer = match &asked.stage {
            DecisionStage::Waiting { .. } | DecisionStage::Open => format!("open; turno answer {}", asked.id),
            DecisionStage::Withdrawn => "nobody waits for it any more".to_owned(),
            DecisionStage::Answered { by, answer, at, .. } => {
                let who = match by {
                    AnsweredBy::Person => "you",
                    AnsweredBy::Policy => "the policy",
                };
                let after = lasting(at.since(asked.asked));
                format!("{} ({who}, after {after})", plain(answer, 200))
            }
        };
        table.rows.push(vec![
            asked.id.to_string(),
            asked.task.to_string(),
            format!("{by}: {}", plain(&asked.question, 240)),
            answer,
        ]);
    }
    if table.rows.is_empty() {
        Vec::new()
    } else {
        vec![Part::Table(table)]
    }
}

fn lessons(report: &Report) -> Vec<Part> {
    let told = report.lessons.iter().take(40).map(|l| {
        let paths: Vec<String> = l.paths.iter().take(4).map(|p| plain(p, 60)).collect();
        let by = l.by.as_ref().map_or_else(|| "you".to_owned(), actor);
        let next = match l.stage {
            LessonStage::Proposed => format!("turno lessons keep {}", l.id),
            LessonStage::Kept => "kept".to_owned(),
            LessonStage::Removed => "removed".to_owned(),
        };
        format!(
            "{} {} [{}], by {by}; {next}",
            l.id,
            plain(&l.text, 400),
            paths.join(", ")
        )
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        Vec::new()
    } else {
        vec![Part::List(told)]
    }
}

fn since(report: &Report) -> Vec<Part> {
    let told = report.since.iter().take(40);
    let told: Vec<String> = told
        .map(|s| format!("{} {}", print::moment(s.at), plain(&s.what, 240)))
        .collect();
    if told.is_empty() {
        Vec::new()
    } else {
        vec![Part::List(told)]
    }
}
