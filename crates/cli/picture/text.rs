//! Draws the pictures as lines of text: block characters and letters, no colour, at most so wide as is asked for.

use turno_core::units::{MicroUsd, Timestamp};

use super::{Clock, Gantt, Paint, Plot, Row, Went, money_ticks, tick_label, time_ticks};
use crate::print;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The edge of the time that a column stands for.
fn edge(from: Timestamp, to: Timestamp, column: usize, columns: usize) -> Timestamp {
    let span = u128::from(to.since(from).0);
    let part = span * column as u128 / columns.max(1) as u128;
    from + turno_core::units::Span(u64::try_from(part).unwrap_or(u64::MAX))
}

/// The axis of time below `columns` columns.
fn axis(clock: Clock, from: Timestamp, to: Timestamp, columns: usize) -> String {
    let mut line: Vec<char> = vec![' '; columns];
    let span = to.since(from).0.max(1);
    let mut free = 0;
    for tick in time_ticks(from, to, u64::try_from(columns / 12).unwrap_or(1).max(1)) {
        let at = u128::from(tick.since(from).0) * columns as u128 / u128::from(span);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let label = tick_label(clock, tick, to.since(from));
        if at < free || at + label.len() > columns {
            continue;
        }
        for (place, c) in label.chars().enumerate() {
            if let Some(cell) = line.get_mut(at + place) {
                *cell = c;
            }
        }
        free = at + label.len() + 2;
    }
    line.into_iter().collect::<String>().trim_end().to_owned()
}

/// Money over time, `rows` lines high.
pub(crate) fn plot(plot: &Plot, width: usize, rows: usize) -> Vec<String> {
    const LABEL: usize = 8;
    let columns = width.saturating_sub(LABEL + 2).max(10);
    let top = u128::from(plot.top().0);
    let eighths = rows as u128 * 8;
    let mut heights = Vec::with_capacity(columns);
    let mut spent = MicroUsd::ZERO;
    let mut points = plot.points.iter().peekable();
    for column in 0..columns {
        let end = edge(plot.from, plot.to, column + 1, columns);
        while let Some((_, sum)) = points.next_if(|p| p.0 <= end) {
            spent = *sum;
        }
        // Something is more than nothing, however little it is.
        let height = (u128::from(spent.0) * eighths).div_ceil(top.max(1)).min(eighths);
        heights.push(usize::try_from(height).unwrap_or(0));
    }
    let row_of = |m: MicroUsd| {
        // The row that a bar of that height ends in.
        let at = (u128::from(m.0) * rows as u128)
            .div_ceil(top.max(1))
            .saturating_sub(1);
        rows.saturating_sub(1 + usize::try_from(at).unwrap_or(0).min(rows - 1))
    };
    let mut labels = vec![String::new(); rows];
    for tick in money_ticks(plot.top(), 4).into_iter().rev() {
        if let Some(label) = labels.get_mut(row_of(tick)) {
            *label = print::dollars(tick);
        }
    }
    // The row of the limit that held at the end of each column.
    let limit_at = |column: usize| {
        let end = edge(plot.from, plot.to, column + 1, columns);
        let held = plot.limits.iter().rev().find(|l| l.0 <= end);
        let held = held.or(plot.limits.first()).filter(|_| plot.shows_limit());
        held.map(|l| row_of(l.1))
    };
    let limits: Vec<Option<usize>> = (0..columns).map(limit_at).collect();
    let mut lines = Vec::new();
    for (row, label) in labels.iter().enumerate() {
        let below = (rows - 1 - row) * 8;
        let cells: String = heights
            .iter()
            .zip(&limits)
            .map(|(h, limit)| match BLOCKS[h.saturating_sub(below).min(8)] {
                ' ' if *limit == Some(row) => '╌',
                block => block,
            })
            .collect();
        let cells = cells.trim_end();
        lines.push(format!("{label:>LABEL$} │{cells}"));
    }
    lines.push(format!("{:>LABEL$} └{}", "", "─".repeat(columns)));
    lines.push(format!(
        "{:>LABEL$}  {}",
        "",
        axis(plot.clock, plot.from, plot.to, columns)
    ));
    if plot.shows_limit() {
        lines.push(format!("{:>LABEL$}  ╌ {}", "", plot.limit_words()));
    }
    lines
}

/// Slots over time. Letters stand for what was done, small ones for what did not go well.
pub(crate) fn gantt(gantt: &Gantt, width: usize) -> Vec<String> {
    const LABEL: usize = 8;
    let columns = width.saturating_sub(LABEL + 2).max(10);
    let mut lines: Vec<String> = gantt
        .rows
        .iter()
        .map(|row| {
            let cells: String = (0..columns).map(|c| cell(gantt, row, c, columns)).collect();
            format!(
                "{:>LABEL$} │{}",
                print::plain(&row.label, LABEL + 1),
                cells.trim_end()
            )
        })
        .collect();
    if gantt.longest_queue() > 0 {
        let cells: String = (0..columns).map(|c| waiting(gantt, c, columns)).collect();
        lines.push(format!("{:>LABEL$} │{}", "waiting", cells.trim_end()));
    }
    lines.push(format!("{:>LABEL$} └{}", "", "─".repeat(columns)));
    lines.push(format!(
        "{:>LABEL$}  {}",
        "",
        axis(gantt.clock, gantt.from, gantt.to, columns)
    ));
    let mut words: Vec<String> = gantt
        .kinds()
        .into_iter()
        .map(|k| format!("{} {}", k.letter(), k.word()))
        .collect();
    if gantt.went_badly() {
        words.push("small letters: it did not go well".to_owned());
    }
    if gantt
        .rows
        .iter()
        .flat_map(|r| &r.bars)
        .any(|b| !b.pauses.is_empty())
    {
        words.push("? waits for your answer".to_owned());
    }
    if gantt.longest_queue() > 0 {
        words.push("1-9 so many tasks wait".to_owned());
    }
    lines.extend(
        print::folded(&words.join("  "), Some(width), LABEL + 2)
            .lines()
            .enumerate()
            .map(|(n, l)| {
                if n == 0 {
                    format!("{:>LABEL$}  {l}", "")
                } else {
                    l.to_owned()
                }
            }),
    );
    lines
}

/// What was done the longest in a column of a row.
fn cell(gantt: &Gantt, row: &Row, column: usize, columns: usize) -> char {
    let (from, to) = (
        edge(gantt.from, gantt.to, column, columns),
        edge(gantt.from, gantt.to, column + 1, columns),
    );
    let overlap = |since: Timestamp, until: Timestamp| until.min(to).since(since.max(from)).0;
    let longest = row
        .bars
        .iter()
        .filter(|b| overlap(b.from, b.to) > 0 || b.from >= from && b.from < to)
        .max_by_key(|b| overlap(b.from, b.to));
    let Some(bar) = longest else { return '·' };
    if bar
        .pauses
        .iter()
        .any(|p| overlap(p.0, p.1) * 2 > to.since(from).0)
    {
        return '?';
    }
    let letter = Paint::letter(bar.paint);
    match bar.went {
        Went::Well => letter,
        Went::Badly => letter.to_ascii_lowercase(),
    }
}

/// The most tasks that waited in a column.
fn waiting(gantt: &Gantt, column: usize, columns: usize) -> char {
    let (from, to) = (
        edge(gantt.from, gantt.to, column, columns),
        edge(gantt.from, gantt.to, column + 1, columns),
    );
    let mut most = 0;
    let mut steps = gantt.queue.iter().peekable();
    while let Some((at, tasks)) = steps.next() {
        let until = steps.peek().map_or(gantt.to, |next| next.0);
        if *at < to && until > from {
            most = most.max(*tasks);
        }
    }
    match most {
        0 => ' ',
        1..=9 => char::from_digit(most, 10).unwrap_or('9'),
        _ => '+',
    }
}
