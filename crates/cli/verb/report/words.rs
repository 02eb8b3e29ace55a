//! Puts a report into words: its heading, and what became of each piece of work. The numbers are in `numbers.rs`.

use turno_core::config::Confinement;
use turno_core::ids::{CheckName, TaskId};
use turno_core::issue::IssueStage;
use turno_core::report::{
    End, Evidence, Failed, Judged, Landed, OfIssue, Parked, Report, Shown, Todo, UntriedWhat,
};
use turno_core::shift::ShiftEnd;
use turno_core::task::Actor;
use turno_core::units::Span;

use super::numbers;
use super::page::{Card, Choice, Exhibit, Item, Page, Part, Section, Table, Tile, Tone};
use crate::print::{self, dollars, lasting, moment, plain};
use crate::verb::end_words;

/// What the report does not say itself.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The project's name.
    pub(super) project: String,
    /// Where paths of transcripts and logs begin.
    pub(super) state_dir: String,
}

/// The whole report in words.
pub(super) fn page(report: &Report, setting: &Setting) -> Page {
    let head = &report.shift;
    let (outcome, tone) = outcome(report);
    let mut sections = vec![
        landed(report),
        parked(report),
        failed(report, setting),
        unfinished(report),
        untried(report),
    ];
    sections.extend(numbers::sections(report));
    sections.retain(|s| !s.parts.is_empty());
    Page {
        project: plain(&setting.project, 80),
        title: format!("Shift {}", head.id),
        outcome,
        tone,
        lines: lines(report),
        warnings: warnings(report),
        tiles: tiles(report),
        sections,
        foot: vec![
            format!(
                "Told from records {} to {} of the journal; nothing else was asked.",
                head.first, head.last
            ),
            format!(
                "Transcripts and logs are below {}",
                plain(&setting.state_dir, 300)
            ),
        ],
    }
}

/// How it ended, and the exit code that says so.
fn outcome(report: &Report) -> (String, Tone) {
    match report.shift.end {
        End::Runs { .. } => ("it is still running".to_owned(), Tone::Plain),
        End::Winding { .. } => ("it is coming to its end".to_owned(), Tone::Plain),
        End::Ended { how, .. } => {
            let (code, tone) = match how {
                ShiftEnd::Done => (crate::exit::OK, Tone::Good),
                ShiftEnd::NeedsPerson | ShiftEnd::TimeUp => (crate::exit::NEEDS_PERSON, Tone::Asks),
                ShiftEnd::Budget => (crate::exit::BUDGET, Tone::Bad),
                ShiftEnd::Interrupted => (crate::exit::INTERRUPTED, Tone::Bad),
            };
            (format!("{} (exit code {code})", end_words(how)), tone)
        }
    }
}

fn lines(report: &Report) -> Vec<String> {
    let head = &report.shift;
    let (until, word) = match head.end {
        End::Ended { at, .. } => (at, "ended"),
        End::Runs { until } | End::Winding { until, .. } => (until, "last heard of"),
    };
    vec![
        format!(
            "{} mode, {} slot(s), {} agent attempt(s)",
            head.mode,
            head.slots,
            report.costs.by_outcome.iter().map(|s| s.attempts).sum::<u32>()
        ),
        format!(
            "began {}, {word} {} ({})",
            moment(head.started),
            moment(until),
            lasting(until.since(head.started))
        ),
    ]
}

fn warnings(report: &Report) -> Vec<String> {
    let head = &report.shift;
    let mut all = Vec::new();
    match head.confinement {
        Confinement::Namespaces => {}
        Confinement::Landlock => all.push(
            "Held by Landlock alone: programs could see other processes and the network as you do."
                .to_owned(),
        ),
        Confinement::Off => {
            all.push("NO SANDBOX: its agents and checks could do all that you may do.".to_owned());
        }
    }
    if !head.open_checks.is_empty() {
        let names: Vec<&str> = head.open_checks.iter().map(CheckName::as_str).collect();
        all.push(format!("The network was open to: {}.", names.join(", ")));
    }
    if !report.tampering.is_empty() {
        all.push(format!(
            "{} thing(s) of the repository changed while agents ran; see below.",
            report.tampering.len()
        ));
    }
    for issue in &report.issues {
        if let Some(alarm) = &issue.alarm {
            all.push(format!(
                "Issue {} cannot follow {} (it is at {}, the issue's branch at {}): {}. The issue's branch did not move.",
                issue.id,
                plain(&alarm.branch, 80),
                alarm.tip.short(),
                alarm.head.short(),
                plain(&alarm.why, 240)
            ));
        }
    }
    if report.checks.iter().any(|c| c.differs > 0) {
        all.push(
            "A check showed the opposite of what it showed before on the same files: it depends on something else."
                .to_owned(),
        );
    }
    if report.shift.restarts > 0 {
        all.push(format!(
            "Its coordinator began again {} time(s).",
            report.shift.restarts
        ));
    }
    all
}

fn tiles(report: &Report) -> Vec<Tile> {
    let head = &report.shift;
    let count = |n: usize, tone| (n.to_string(), if n == 0 { Tone::Plain } else { tone });
    let issues = report.issues.iter();
    let done = issues.filter(|i| matches!(i.stage, IssueStage::Review { .. } | IssueStage::Done { .. }));
    let (landed, good) = count(report.landed.len(), Tone::Good);
    let (parked, asks) = count(report.parked.len(), Tone::Asks);
    let (failed, bad) = count(report.failed.len(), Tone::Bad);
    let left = report.unfinished.len() + report.untried.len();
    let spent_of = match head.budget.0 {
        0 => String::new(),
        all => format!(
            "of {}, {} %",
            dollars(head.budget),
            head.spent.0.saturating_mul(100) / all
        ),
    };
    let tile = |label, value, note, tone| Tile {
        label,
        value,
        note,
        tone,
    };
    vec![
        tile(
            "landed",
            landed,
            format!("task(s); {} issue(s) ready to promote", done.count()),
            good,
        ),
        tile("need you", parked, "question(s) to answer".to_owned(), asks),
        tile("failed", failed, "with evidence below".to_owned(), bad),
        tile(
            "left",
            left.to_string(),
            format!(
                "{} begun, {} not tried",
                report.unfinished.len(),
                report.untried.len()
            ),
            Tone::Plain,
        ),
        tile("spent", dollars(head.spent), spent_of, Tone::Plain),
        tile(
            "took",
            lasting(head.end.at().since(head.started)),
            match report.costs.elsewhere.0 {
                0 => format!("{} of work in parallel", lasting(worked(report))),
                _ => format!("{} booked from before", dollars(report.costs.elsewhere)),
            },
            Tone::Plain,
        ),
    ]
}

/// How long attempts ran, added up.
fn worked(report: &Report) -> Span {
    let until = report.shift.end.at();
    Span(report.attempts.iter().map(|a| a.time(until).0).sum())
}

pub(super) fn actor(actor: &Actor) -> String {
    format!("{} ({})", actor.persona, actor.agent)
}

fn tries(tries: u32) -> String {
    match tries {
        1 => "1 attempt".to_owned(),
        many => format!("{many} attempts"),
    }
}

fn commands(todo: &[Todo]) -> Vec<String> {
    todo.iter().map(ToString::to_string).collect()
}

fn landed(report: &Report) -> Section {
    let mut cards = Vec::new();
    for issue in &report.issues {
        let tasks: Vec<&Landed> = report
            .landed
            .iter()
            .filter(|l| l.task.issue == issue.id)
            .collect();
        if tasks.is_empty() {
            continue;
        }
        let mut card = Card::new(
            Tone::Good,
            format!("issue {}", issue.id),
            plain(&issue.title, 160),
        );
        card.badge = format!("{} of {} landed", issue.landed, issue.pieces);
        card.items = tasks.into_iter().map(item).collect();
        card.facts = vec![format!("{} in this shift, with planning", dollars(issue.cost))];
        card.facts.extend(still(issue));
        card.commands = commands(&issue.todo);
        cards.push(card);
    }
    Section {
        id: "landed",
        heading: "Landed",
        count: report.landed.len().to_string(),
        parts: if cards.is_empty() {
            Vec::new()
        } else {
            vec![Part::Cards(cards)]
        },
    }
}

/// What an issue that is not whole still lacks.
fn still(issue: &OfIssue) -> Vec<String> {
    let mut told = Vec::new();
    if let IssueStage::Working { .. } = issue.stage {
        told.push("the issue is not done: what landed waits on its branch".to_owned());
    }
    let proposed = issue.proposed.iter().take(5);
    told.extend(proposed.map(|p| format!("proposed on the way: {}", plain(p, 160))));
    told
}

fn item(landed: &Landed) -> Item {
    let mut facts = Vec::new();
    let checks: Vec<String> = landed
        .checks
        .iter()
        .map(|c| {
            let shown = match c.shown {
                Shown::Passed => "",
                Shown::Flaky => " (flaky)",
                Shown::NotGreen => " (red for other reasons)",
            };
            format!("{} {}{shown}", c.check, lasting(Span(c.took_ms)))
        })
        .collect();
    facts.push(match checks.as_slice() {
        [] => "no checks".to_owned(),
        checks => format!("proven by {}", checks.join(", ")),
    });
    if let Some(writer) = &landed.writer {
        facts.push(format!("written by {}", actor(writer)));
    }
    facts.extend(landed.judged.as_ref().map(|judged| match judged {
        Judged::By { reviewer, notes: 0 } => format!("approved by {}", actor(reviewer)),
        Judged::By { reviewer, notes } => format!("approved by {} with {notes} note(s)", actor(reviewer)),
        Judged::Waived => "no review was asked for".to_owned(),
    }));
    facts.push(tries(landed.tries));
    facts.push(dollars(landed.cost));
    if !landed.paths.is_empty() {
        let named: Vec<String> = landed.paths.iter().take(4).map(|p| plain(p, 60)).collect();
        let more = match usize::try_from(landed.paths_in_all)
            .unwrap_or(0)
            .saturating_sub(named.len())
        {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        facts.push(format!("{}{more}", named.join(", ")));
    }
    Item {
        id: landed.task.to_string(),
        title: plain(&landed.title, 160),
        code: landed.commit.short().to_owned(),
        facts,
    }
}

fn exhibit(evidence: &Evidence, setting: Option<&Setting>) -> Exhibit {
    Exhibit {
        what: plain(&evidence.what, 240),
        extract: print::harmless(&evidence.extract).replace('\t', "    "),
        place: match (&evidence.log, setting) {
            (Some(log), Some(setting)) => plain(&format!("{}/{}", setting.state_dir, log.path), 300),
            (Some(log), None) => plain(&log.path, 300),
            (None, _) => String::new(),
        },
    }
}

/// A task's title, and the issue it is a part of where that has another one.
fn titles(task: TaskId, title: &str, report: &Report) -> (String, Option<String>) {
    let whole = report.issues.iter().find(|i| i.id == task.issue);
    match whole {
        Some(issue) if task.is_lead() || issue.title == title => (plain(&issue.title, 160), None),
        Some(issue) => {
            let part_of = format!("part of issue {}: {}", issue.id, plain(&issue.title, 120));
            (plain(title, 160), Some(part_of))
        }
        None => (plain(title, 160), None),
    }
}

fn parked(report: &Report) -> Section {
    let cards: Vec<Card> = report.parked.iter().map(|p| question(p, report)).collect();
    Section {
        id: "parked",
        heading: "Needs you",
        count: cards.len().to_string(),
        parts: if cards.is_empty() {
            Vec::new()
        } else {
            vec![Part::Cards(cards)]
        },
    }
}

fn question(parked: &Parked, report: &Report) -> Card {
    let (title, part_of) = titles(parked.task, &parked.title, report);
    let mut card = Card::new(Tone::Asks, parked.task, title);
    card.badge = "parked".to_owned();
    card.says = plain(&parked.question, 1000);
    let mut todo = parked.todo.as_slice();
    for (place, option) in parked.options.iter().enumerate() {
        let Some((first, rest)) = todo.split_first() else {
            break;
        };
        todo = rest;
        card.options.push(Choice {
            label: format!("{}. {}", place + 1, plain(&option.label, 120)),
            detail: plain(&option.detail, 240),
            is_recommended: parked.recommended.as_ref() == Some(&option.label),
            command: first.to_string(),
        });
    }
    card.exhibits = parked.evidence.iter().map(|e| exhibit(e, None)).collect();
    card.facts = part_of.into_iter().collect();
    card.facts.extend([tries(parked.tries), dollars(parked.cost)]);
    card.commands = commands(todo);
    card
}

fn failed(report: &Report, setting: &Setting) -> Section {
    let cards: Vec<Card> = report
        .failed
        .iter()
        .map(|f| failure(f, report, setting))
        .collect();
    let mut parts = Vec::new();
    if !cards.is_empty() {
        parts.push(Part::Cards(cards));
    }
    if !report.dropped.is_empty() {
        let dropped = report.dropped.iter();
        parts.push(Part::Note("Given up:".to_owned()));
        parts.push(Part::List(
            dropped
                .map(|d| {
                    let (title, why) = (plain(&d.title, 120), plain(&d.why, 200));
                    format!("{} {title}: {why} ({})", d.task, dollars(d.cost))
                })
                .collect(),
        ));
    }
    Section {
        id: "failed",
        heading: "Failed",
        count: report.failed.len().to_string(),
        parts,
    }
}

fn failure(failed: &Failed, report: &Report, setting: &Setting) -> Card {
    let (title, part_of) = titles(failed.task, &failed.title, report);
    let mut card = Card::new(Tone::Bad, failed.task, title);
    card.badge = "failed".to_owned();
    card.says = plain(&failed.why, 300);
    card.exhibits = failed
        .evidence
        .iter()
        .map(|e| exhibit(e, Some(setting)))
        .collect();
    card.facts = part_of.into_iter().collect();
    card.facts.extend([tries(failed.tries), dollars(failed.cost)]);
    if let Some(log) = &failed.transcript {
        let place = plain(&format!("{}/{}", setting.state_dir, log.path), 300);
        card.facts.push(format!("last transcript: {place}"));
    }
    card.commands = commands(&failed.todo);
    card
}

fn unfinished(report: &Report) -> Section {
    let mut table = Table::new(
        "Begun and not finished",
        &["Task", "What", "How far", ">Attempts", ">Cost", "Go on with"],
    );
    for left in &report.unfinished {
        let how_far = match &left.why {
            Some(why) => format!("{}; {}", left.stage, why),
            None => left.stage.clone(),
        };
        table.rows.push(vec![
            left.task.to_string(),
            titles(left.task, &left.title, report).0,
            plain(&how_far, 240),
            left.tries.to_string(),
            dollars(left.cost),
            format!("turno run {}", left.task.issue),
        ]);
    }
    Section {
        id: "unfinished",
        heading: "Begun, not finished",
        count: table.rows.len().to_string(),
        parts: if table.rows.is_empty() {
            Vec::new()
        } else {
            vec![Part::Table(table)]
        },
    }
}

fn untried(report: &Report) -> Section {
    let mut table = Table::new("Not tried, and why", &["Which", "What", "Why not"]);
    for left in &report.untried {
        let which = match left.what {
            UntriedWhat::Issue(id) => format!("issue {id}"),
            UntriedWhat::Task(id) => id.to_string(),
        };
        table
            .rows
            .push(vec![which, plain(&left.title, 160), plain(&left.why, 240)]);
    }
    Section {
        id: "untried",
        heading: "Not tried",
        count: table.rows.len().to_string(),
        parts: if table.rows.is_empty() {
            Vec::new()
        } else {
            vec![Part::Table(table)]
        },
    }
}
