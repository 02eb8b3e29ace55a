//! Owns what is drawn over the panes: help, something to be read, a question with its answer, a word of caution.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Block, Clear, Widget};
use turno_core::event::StopHow;

use super::draw::{put, rows};
use super::frame::{Frame, OptionRow, QuestionRow, Tone};
use super::paint::Paint;
use super::text::{width, wrapped};
use super::ui::{Above, Paper, Ui};
use crate::print;

const HELP: [&str; 14] = [
    "j k, arrows      move; PgUp PgDn by ten, g G to the ends",
    "Tab, Shift-Tab   the next pane, the one before",
    "Enter            why the marked task stands where it stands",
    "o                what the marked issue or task has changed",
    "a                answer the marked question",
    "s                drain: nothing new is started, what runs may finish",
    "S                stop: what runs is stopped and its work kept",
    "q, Esc, Ctrl-C   leave; the shift goes on",
    "",
    "A bar shows the budget: full cells are spent, half-tone ones",
    "are promised to attempts that run.",
    "",
    "Each row says in words what it waits for. More of it: Enter.",
    "Any key closes this.",
];

/// Draws what lies over the panes, if anything does.
pub(super) fn draw(frame: &Frame, ui: &mut Ui, paint: Paint, area: Rect, buf: &mut Buffer) {
    match &mut ui.above {
        Above::Nothing => {}
        Above::Help => {
            let lines: Vec<(String, Tone)> = HELP.iter().map(|l| ((*l).to_owned(), Tone::Plain)).collect();
            let height = HELP.len() + 2;
            fill(
                &lines,
                sheet("keys", centred(area, 74, height), paint, buf),
                paint,
                buf,
            );
        }
        Above::Paper(paper) => read(paper, paint, area, buf),
        Above::Answer { decision, typed } => {
            if let Some(question) = frame.questions.iter().find(|q| q.id == *decision) {
                answer(question, typed, paint, area, buf);
            }
        }
        Above::Confirm(how) => {
            let words = match how {
                StopHow::Drain => "Drain the shift? Nothing new is started, what runs may finish.",
                StopHow::Now => "Stop the shift now? What runs is stopped and its work kept.",
            };
            let lines = [
                (words.to_owned(), Tone::Attention),
                (String::new(), Tone::Plain),
                ("y: yes    any other key: no".to_owned(), Tone::Plain),
            ];
            fill(
                &lines,
                sheet("stop", centred(area, 68, 5), paint, buf),
                paint,
                buf,
            );
        }
    }
}

/// A rectangle in the middle, as far as there is room.
fn centred(area: Rect, columns: usize, lines: usize) -> Rect {
    let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    area.centered(
        Constraint::Length(short(columns).min(area.width)),
        Constraint::Length(short(lines).min(area.height)),
    )
}

/// An empty sheet with a frame; what is within.
fn sheet(title: &str, area: Rect, paint: Paint, buf: &mut Buffer) -> Rect {
    if area.is_empty() {
        return area;
    }
    Clear.render(area, buf);
    let title = super::text::fit(title, usize::from(area.width).saturating_sub(4));
    let block = Block::bordered()
        .title(format!(" {title} "))
        .style(paint.tone(Tone::Plain));
    let within = block.inner(area);
    block.render(area, buf);
    Rect {
        x: within.x.saturating_add(1).min(within.right()),
        width: within.width.saturating_sub(2),
        ..within
    }
}

fn fill(lines: &[(String, Tone)], area: Rect, paint: Paint, buf: &mut Buffer) {
    for (row, (text, tone)) in rows(area).zip(lines) {
        put(text, paint.tone(*tone), row, buf);
    }
}

fn read(paper: &mut Paper, paint: Paint, area: Rect, buf: &mut Buffer) {
    let within = sheet(&paper.title, area, paint, buf);
    let columns = usize::from(within.width);
    let lines: Vec<(String, Tone)> = paper
        .lines
        .iter()
        .flat_map(|(text, tone)| wrapped(text, columns).into_iter().map(|l| (l, *tone)))
        .collect();
    paper.page = usize::from(within.height);
    paper.at = paper.at.min(lines.len().saturating_sub(paper.page));
    fill(lines.get(paper.at..).unwrap_or_default(), within, paint, buf);
    let end = (paper.at + paper.page).min(lines.len());
    let place = format!(" {end} of {} lines, Esc closes ", lines.len());
    let room = usize::from(area.width).saturating_sub(4);
    if let (true, Some(y)) = (width(&place) <= room, area.bottom().checked_sub(1)) {
        buf.set_string(area.x + 2, y, place, paint.tone(Tone::Faint));
    }
}

/// An option on one line.
pub(super) fn option_line(number: usize, option: &OptionRow) -> String {
    let recommended = if option.recommended { " (recommended)" } else { "" };
    let detail = match option.detail.as_str() {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    format!("    {number}. {}{recommended}{detail}", option.label)
}

/// What the words that were typed mean.
fn meaning(question: &QuestionRow, typed: &str) -> String {
    let typed = typed.trim();
    if typed.is_empty() {
        return match question.options.len() {
            0 => "type an answer in your own words".to_owned(),
            count => format!("type 1 to {count}, or an answer in your own words"),
        };
    }
    let same = |o: &&OptionRow| o.label.trim().to_lowercase() == typed.to_lowercase();
    let numbered = || {
        typed
            .parse::<usize>()
            .ok()?
            .checked_sub(1)
            .and_then(|n| question.options.get(n))
    };
    match question.options.iter().find(same).or_else(numbered) {
        Some(option) => format!("Enter answers: {}", option.label),
        None => "Enter answers with these words".to_owned(),
    }
}

fn answer(question: &QuestionRow, typed: &str, paint: Paint, area: Rect, buf: &mut Buffer) {
    let columns = usize::from(area.width).saturating_sub(8).clamp(16, 100);
    let mut lines: Vec<(String, Tone)> = wrapped(&question.question, columns)
        .into_iter()
        .map(|l| (l, Tone::Strong))
        .collect();
    for (number, option) in (1..).zip(&question.options) {
        let text = option_line(number, option);
        lines.extend(wrapped(&text, columns).into_iter().map(|l| (l, Tone::Plain)));
    }
    // The line that is typed is always seen, however long the question is.
    let height = usize::from(area.height).saturating_sub(6).max(1);
    if lines.len() > height {
        lines.truncate(height - 1);
        lines.push(("…".to_owned(), Tone::Faint));
    }
    let shown = print::harmless(typed);
    let mut tail: Vec<char> = shown.chars().rev().take(columns.saturating_sub(4)).collect();
    tail.reverse();
    lines.push((String::new(), Tone::Plain));
    lines.push((
        format!("> {}▏", tail.into_iter().collect::<String>()),
        Tone::Strong,
    ));
    lines.push((
        format!("{}; Esc leaves it open", meaning(question, typed)),
        Tone::Faint,
    ));
    let title = format!("{} of task {}, {}", question.id, question.task, question.who);
    let place = centred(area, columns + 4, lines.len() + 2);
    fill(&lines, sheet(&title, place, paint, buf), paint, buf);
}
