//! Owns how a frame is laid out and drawn, at any size of the terminal. It says nothing of its own but the names of
//! the panes and the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::above;
use super::frame::{EventRow, Frame, QuestionRow, RunRow, ShiftBar, Subject, Tone, WorkRow};
use super::paint::Paint;
use super::text::{column, fit, wrapped};
use super::ui::{Pane, Ui};
use crate::print;

/// From so many columns on there are two columns of panes.
const WIDE: u16 = 130;
/// A pane that may be small has at most so many rows of its own.
const FEW: u16 = 6;

/// Draws everything.
pub(super) fn draw(frame: &Frame, ui: &mut Ui, paint: Paint, area: Rect, buf: &mut Buffer) {
    ui.settle(frame);
    let alarms = u16::try_from(frame.alarms.len()).unwrap_or(u16::MAX).min(3);
    let accounts = u16::try_from(frame.accounts.len()).unwrap_or(u16::MAX).min(3);
    let [head, meter, account, alarm, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(u16::from(frame.shift.is_some())),
        Constraint::Length(accounts),
        Constraint::Length(alarms),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame.shift.as_ref(), head, meter, paint, buf);
    for (row, words) in rows(account).zip(&frame.accounts) {
        put(words, paint.tone(Tone::Faint), row, buf);
    }
    for (row, words) in rows(alarm).zip(&frame.alarms) {
        put(&format!("! {words}"), paint.tone(Tone::Bad), row, buf);
    }
    let runs = length(frame.at_work.len().max(1));
    let asked = length(frame.questions.len());
    if area.width >= WIDE {
        let [left, _, right] = Layout::horizontal([
            Constraint::Percentage(58),
            Constraint::Length(1),
            Constraint::Min(40),
        ])
        .areas(body);
        let most = left.height / 2;
        let [runs, work] =
            Layout::vertical([Constraint::Length((runs + 1).min(most)), Constraint::Min(3)]).areas(left);
        at_work(frame, ui, paint, runs, buf);
        work_pane(frame, ui, paint, work, buf);
        let each = frame.questions.iter().map(|q| 1 + q.options.len()).sum();
        let asked = if each == 0 { 0 } else { length(each) + 1 };
        let [asked, told] = Layout::vertical([
            Constraint::Length(asked.min(right.height / 2)),
            Constraint::Min(3),
        ])
        .areas(right);
        questions(frame, ui, paint, asked, buf);
        events(&frame.events, ui, paint, told, buf);
    } else {
        let told = (body.height / 4).max(3);
        let asked = if asked == 0 {
            0
        } else {
            asked.min(FEW.min(body.height / 5).max(1)) + 1
        };
        let [runs, asked, work, told] = Layout::vertical([
            Constraint::Length(runs.min(FEW.max(body.height / 4)) + 1),
            Constraint::Length(asked),
            Constraint::Min(4),
            Constraint::Length(told + 1),
        ])
        .areas(body);
        at_work(frame, ui, paint, runs, buf);
        questions(frame, ui, paint, asked, buf);
        work_pane(frame, ui, paint, work, buf);
        events(&frame.events, ui, paint, told, buf);
    }
    footer(frame, ui, paint, foot, buf);
    above::draw(frame, ui, paint, area, buf);
}

fn length(rows: usize) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX).min(1000)
}

/// The rows of an area.
pub(super) fn rows(area: Rect) -> impl Iterator<Item = Rect> {
    (area.y..area.bottom()).map(move |y| Rect::new(area.x, y, area.width, 1))
}

/// One text in one row.
pub(super) fn put(text: &str, style: Style, row: Rect, buf: &mut Buffer) {
    if row.is_empty() {
        return;
    }
    let text = fit(text, usize::from(row.width));
    buf.set_stringn(row.x, row.y, text, usize::from(row.width), style);
}

fn line(spans: Vec<Span<'_>>, row: Rect, buf: &mut Buffer) {
    if row.is_empty() {
        return;
    }
    buf.set_line(row.x, row.y, &Line::from(spans), row.width);
}

fn header(shift: Option<&ShiftBar>, head: Rect, meter: Rect, paint: Paint, buf: &mut Buffer) {
    let Some(shift) = shift else {
        put(
            "turno: no shift has run here yet; `turno run ISSUE` starts one",
            paint.tone(Tone::Strong),
            head,
            buf,
        );
        return;
    };
    let parked = match shift.parked {
        0 => String::new(),
        parked => format!(", {parked} parked"),
    };
    let landed = format!("{} of {} landed{parked}", shift.landed, shift.tasks);
    let room = usize::from(head.width).saturating_sub(landed.len() + 2);
    line(
        vec![
            Span::styled(column(&shift.words, room), paint.strong(shift.tone)),
            Span::raw("  "),
            Span::styled(landed, paint.tone(Tone::Plain)),
        ],
        head,
        buf,
    );
    // One hundredth is what such a bar can show.
    let percent = |part: u64| match shift.budget.0 {
        0 => 100,
        all => u128::from(part) * 100 / u128::from(all),
    };
    let (spent, promised) = (percent(shift.spent.0), percent(shift.committed.0));
    let words = format!(
        " {} of {} spent, {spent} %",
        print::dollars(shift.spent),
        print::dollars(shift.budget)
    );
    let promises = if promised > spent {
        format!(", {} with what is promised", print::dollars(shift.committed))
    } else {
        String::new()
    };
    let words = words + &promises;
    let bar = usize::from(meter.width).saturating_sub(words.len() + 1).min(60);
    let cells = |percent: u128| usize::try_from(percent.min(100)).unwrap_or(100) * bar / 100;
    let (full, half) = (cells(spent), cells(promised.max(spent)));
    let tone = match spent {
        0..80 => Tone::Good,
        80..100 => Tone::Attention,
        _ => Tone::Bad,
    };
    line(
        vec![
            Span::styled("█".repeat(full), paint.tone(tone)),
            Span::styled("▒".repeat(half - full), paint.tone(tone)),
            Span::styled("░".repeat(bar - half), paint.tone(Tone::Faint)),
            Span::raw(words),
        ],
        meter,
        buf,
    );
}

/// The line that begins a pane; what is below it.
fn pane(name: &str, mine: Pane, ui: &Ui, paint: Paint, area: Rect, buf: &mut Buffer) -> Rect {
    if area.height == 0 {
        return area;
    }
    let here = ui.pane == mine;
    let mark = if here { '▸' } else { ' ' };
    let style = if here {
        paint.strong(Tone::Plain)
    } else {
        paint.tone(Tone::Faint)
    };
    let title = format!("─{mark}{name} ");
    let rule = usize::from(area.width).saturating_sub(super::text::width(&title));
    put(
        &(title + &"─".repeat(rule)),
        style,
        Rect { height: 1, ..area },
        buf,
    );
    Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    }
}

/// Where a list begins to be shown, so that the marked row is seen.
fn begin(marked: usize, count: usize, height: u16) -> usize {
    let height = usize::from(height);
    if count <= height {
        return 0;
    }
    marked.saturating_sub(height / 2).min(count - height)
}

fn at_work(frame: &Frame, ui: &Ui, paint: Paint, area: Rect, buf: &mut Buffer) {
    let name = match (frame.at_work.len(), frame.free_slots) {
        (0, 0) => "at work".to_owned(),
        (some, free) => format!("at work: {some}, {free} slot(s) free"),
    };
    let area = pane(&name, Pane::AtWork, ui, paint, area, buf);
    if frame.at_work.is_empty() {
        for row in rows(area).take(1) {
            put("  nothing runs", paint.tone(Tone::Faint), row, buf);
        }
    }
    let marked = frame
        .at_work
        .iter()
        .position(|r| Some(r.task) == ui.run)
        .unwrap_or(0);
    let runs = || frame.at_work.iter();
    let tasks: Vec<String> = runs().map(|r| r.task.to_string()).collect();
    let columns = Columns {
        place: widest(runs().map(|r| r.place.as_str()), 2, 7),
        task: widest(tasks.iter().map(String::as_str), 3, 8),
        who: widest(runs().map(|r| r.who.as_str()), 8, 26),
        stage: widest(runs().map(|r| r.stage.as_str()), 7, 10),
    };
    let shown = frame.at_work.iter().enumerate();
    for (row, (at, run)) in rows(area).zip(shown.skip(begin(marked, frame.at_work.len(), area.height))) {
        line(run_line(run, &columns, row.width, paint), row, buf);
        mark(at == marked && ui.pane == Pane::AtWork, paint, row, buf);
    }
}

/// How wide what stands in columns is, as far as there is any.
struct Columns {
    place: usize,
    task: usize,
    who: usize,
    stage: usize,
}

fn run_line(run: &RunRow, columns: &Columns, width: u16, paint: Paint) -> Vec<Span<'static>> {
    let head = format!(
        "  {}  {}  {}  {} {:>6} {:>6}  ",
        column(&run.place, columns.place),
        column(&run.task.to_string(), columns.task),
        column(&run.who, columns.who),
        column(&run.stage, columns.stage),
        run.elapsed,
        run.cost,
    );
    let room = usize::from(width).saturating_sub(super::text::width(&head));
    vec![
        Span::raw(head),
        Span::styled(fit(&run.doing, room), paint.tone(Tone::Faint)),
    ]
}

/// The widest of some texts, within bounds.
fn widest<'a>(texts: impl Iterator<Item = &'a str>, least: usize, most: usize) -> usize {
    texts
        .map(super::text::width)
        .max()
        .unwrap_or(0)
        .clamp(least, most)
}

fn mark(marked: bool, paint: Paint, row: Rect, buf: &mut Buffer) {
    if marked && !row.is_empty() {
        buf.set_style(row, paint.marked());
        buf.set_string(row.x, row.y, "▸", paint.marked());
    }
}

fn questions(frame: &Frame, ui: &Ui, paint: Paint, area: Rect, buf: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let name = format!("questions for you: {}, `a` answers", frame.questions.len());
    let area = pane(&name, Pane::Questions, ui, paint, area, buf);
    let marked = frame
        .questions
        .iter()
        .position(|q| Some(q.id) == ui.question)
        .unwrap_or(0);
    // Where there is room the options stand below.
    let all: usize = frame.questions.iter().map(|q| 1 + q.options.len()).sum();
    let roomy = all <= usize::from(area.height);
    let first = if roomy {
        0
    } else {
        begin(marked, frame.questions.len(), area.height)
    };
    let mut rows = rows(area);
    for (at, question) in frame.questions.iter().enumerate().skip(first) {
        let Some(row) = rows.next() else { return };
        put(&question_line(question), paint.tone(Tone::Attention), row, buf);
        mark(at == marked && ui.pane == Pane::Questions, paint, row, buf);
        if !roomy {
            continue;
        }
        for (number, option) in (1..).zip(&question.options) {
            let Some(row) = rows.next() else { return };
            put(
                &above::option_line(number, option),
                paint.tone(Tone::Plain),
                row,
                buf,
            );
        }
    }
}

fn question_line(question: &QuestionRow) -> String {
    format!(
        "  {} task {} {}, {} ago: {}",
        question.id, question.task, question.who, question.age, question.question
    )
}

fn work_pane(frame: &Frame, ui: &Ui, paint: Paint, area: Rect, buf: &mut Buffer) {
    let area = pane("issues and tasks", Pane::Work, ui, paint, area, buf);
    if frame.work.is_empty() {
        for row in rows(area).take(1) {
            put(
                "  no issues; file one with `turno issue add \"TITLE\"`",
                paint.tone(Tone::Faint),
                row,
                buf,
            );
        }
    }
    let marked = frame
        .work
        .iter()
        .position(|r| Some(r.subject) == ui.work)
        .unwrap_or(0);
    let first = begin(marked, frame.work.len(), area.height);
    let titles = titles(&frame.work, area.width);
    for (row, (at, work)) in rows(area).zip(frame.work.iter().enumerate().skip(first)) {
        line(work_line(work, titles, row.width, paint), row, buf);
        mark(at == marked && ui.pane == Pane::Work, paint, row, buf);
    }
}

/// What a row of the work has beside its words: who it is about, how far it is, what it cost.
const BESIDE: usize = 29;

/// How wide the titles of tasks are: as they are long, but why each stands where it stands matters more.
fn titles(work: &[WorkRow], width: u16) -> usize {
    let room = usize::from(width).saturating_sub(BESIDE);
    let tasks = || {
        work.iter()
            .filter(|row| !row.title.is_empty() && !row.why.is_empty())
    };
    let title = tasks()
        .map(|row| super::text::width(&row.title))
        .max()
        .unwrap_or(0);
    let why = tasks().map(|row| super::text::width(&row.why)).max().unwrap_or(0);
    title.min((room * 2 / 5).max(room.saturating_sub(why + 2)))
}

fn work_line(work: &WorkRow, titles: usize, width: u16, paint: Paint) -> Vec<Span<'static>> {
    let id = match work.subject {
        Subject::Issue(id) => format!("{id}"),
        Subject::Task(id) => format!("  {id}"),
    };
    let room = usize::from(width).saturating_sub(BESIDE);
    let (title, why) = match work.subject {
        Subject::Issue(_) if work.why.is_empty() => (column(&work.title, room), String::new()),
        Subject::Task(_) if work.title.is_empty() => (String::new(), column(&work.why, room)),
        Subject::Issue(_) | Subject::Task(_) => {
            let title = column(&work.title, titles) + "  ";
            let rest = room.saturating_sub(super::text::width(&title));
            (title, column(&work.why, rest))
        }
    };
    let strength = match work.subject {
        Subject::Issue(_) => paint.strong(Tone::Plain),
        Subject::Task(_) => paint.tone(Tone::Plain),
    };
    let reason = match work.tone {
        Tone::Attention | Tone::Bad => work.tone,
        Tone::Plain | Tone::Faint | Tone::Good | Tone::Strong => Tone::Faint,
    };
    vec![
        Span::styled(format!("  {} ", column(&id, 8)), strength),
        Span::styled(column(work.stage, 10), paint.tone(work.tone)),
        Span::styled(title, strength),
        Span::styled(why, paint.tone(reason)),
        Span::styled(format!(" {:>7}", work.cost), paint.tone(Tone::Faint)),
    ]
}

fn events(told: &[EventRow], ui: &Ui, paint: Paint, area: Rect, buf: &mut Buffer) {
    let name = match ui.back {
        0 => "what happened".to_owned(),
        back => format!("what happened, {back} back"),
    };
    let area = pane(&name, Pane::Events, ui, paint, area, buf);
    let height = usize::from(area.height);
    let most = if height > 12 { 3 } else { 1 };
    // From the latest one backwards, as long as there is room.
    let mut shown: Vec<(String, String)> = Vec::new();
    for event in told.iter().rev().skip(ui.back) {
        let room = usize::from(area.width).saturating_sub(11);
        let mut lines = if most == 1 {
            vec![fit(&event.what, room)]
        } else {
            wrapped(&event.what, room)
        };
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                *last = fit(&format!("{last} …"), room);
            }
        }
        if shown.len() + lines.len() > height {
            break;
        }
        for (n, text) in lines.into_iter().enumerate().rev() {
            let at = if n == 0 { event.at.clone() } else { String::new() };
            shown.push((at, text));
        }
    }
    for (row, (at, text)) in rows(area).zip(shown.into_iter().rev()) {
        let at = Span::styled(format!("  {at:<8} "), paint.tone(Tone::Faint));
        line(vec![at, Span::raw(text)], row, buf);
    }
}

fn footer(frame: &Frame, ui: &Ui, paint: Paint, row: Rect, buf: &mut Buffer) {
    if let Some((words, tone)) = &ui.notice {
        put(words, paint.strong(*tone), row, buf);
        return;
    }
    let answer = if frame.questions.is_empty() {
        ""
    } else {
        "a answer  "
    };
    let keys = format!("j/k move  Tab pane  Enter why  o diff  {answer}s drain  S stop  ? help  q quit");
    put(&keys, paint.tone(Tone::Faint), row, buf);
}
