//! Owns the two pictures of a shift as places in them: money over time against what may be spent, and who was at work
//! when. It places; how things look is the sheet's business.

use serde::Serialize;

use super::filters::{dollars, local, paint};
use crate::view::shift::{BarView, ShiftPage};

/// All in user units of SVG.
const WIDE: f64 = 1000.0;
const LEFT: f64 = 64.0;
const PLOT: f64 = 150.0;
const ROW: f64 = 30.0;
/// So many marks fit along an axis of time, and up an axis of money.
const TIMES: i64 = 8;
const SUMS: u64 = 4;
/// A label needs so much of a bar for each of its characters.
const LETTER: f64 = 7.5;

/// Both pictures: they share the axis of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Chart {
    wide: f64,
    left: f64,
    plot: f64,
    /// The height of the slots.
    rows_high: f64,
    times: Vec<Mark>,
    sums: Vec<Mark>,
    /// What was spent, as the points of a line.
    line: String,
    /// The same, closed below.
    area: String,
    /// Where the limit is, if it is on the scale.
    limit: Option<f64>,
    rows: Vec<Row>,
    kinds: Vec<&'static str>,
}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Mark {
    at: f64,
    label: String,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    label: String,
    y: f64,
    bars: Vec<Bar>,
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    attempt: String,
    x: f64,
    wide: f64,
    paint: &'static str,
    ending: String,
    label: String,
    title: String,
}

fn rounded(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

impl Chart {
    pub(super) fn of(page: &ShiftPage) -> Self {
        let (from, to) = (page.shift.started.0, page.until.0.max(page.shift.started.0 + 1));
        let x = |at: i64| {
            let part = (at - from) as f64 / (to - from) as f64;
            rounded(LEFT + part.clamp(0.0, 1.0) * (WIDE - LEFT))
        };
        let most = page.spending.iter().map(|p| p.spent.0).max().unwrap_or(0);
        let budget = page.shift.budget.0;
        // A limit far above what was spent would leave nothing to see.
        let on_scale = budget <= most.saturating_mul(4).max(10_000);
        let top = most.max(if on_scale { budget } else { 0 }).max(10_000);
        let y = |sum: u64| rounded(PLOT - sum as f64 / top as f64 * (PLOT - 14.0));
        let (mut line, mut last) = (format!("{},{}", x(from), y(0)), y(0));
        for point in &page.spending {
            let (at, sum) = (x(point.at.0), y(point.spent.0));
            line.push_str(&format!(" {at},{last} {at},{sum}"));
            last = sum;
        }
        line.push_str(&format!(" {},{last}", x(to)));
        let step = sum_step(top);
        let mut rows: Vec<Row> = Vec::new();
        for bar in &page.attempts {
            let placed = bar_of(bar, &x, to);
            match rows.iter_mut().find(|r| r.label == bar.row) {
                Some(row) => row.bars.push(placed),
                None => rows.push(Row {
                    label: bar.row.clone(),
                    y: 0.0,
                    bars: vec![placed],
                }),
            }
        }
        // Slots by their number, the one for landing last.
        rows.sort_by_key(|r| (r.label.starts_with('l'), r.label.len(), r.label.clone()));
        for (n, row) in rows.iter_mut().enumerate() {
            row.y = n as f64 * ROW;
        }
        let mut kinds: Vec<&str> = rows.iter().flat_map(|r| &r.bars).map(|b| b.paint).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Self {
            wide: WIDE,
            left: LEFT,
            plot: PLOT,
            rows_high: rows.len() as f64 * ROW,
            times: times(from, to)
                .map(|at| Mark {
                    at: x(at),
                    label: local(at, if to - from < 600_000 { "%H:%M:%S" } else { "%H:%M" }),
                })
                .collect(),
            sums: (0..=top / step)
                .map(|n| Mark {
                    at: y(n * step),
                    label: dollars(n * step),
                })
                .collect(),
            area: format!("{line} {},{PLOT} {LEFT},{PLOT}", x(to)),
            line,
            limit: on_scale.then(|| y(budget)),
            rows,
            kinds,
        }
    }
}

fn bar_of(bar: &BarView, x: &impl Fn(i64) -> f64, until: i64) -> Bar {
    let (from, to) = (x(bar.from.0), x(bar.to.map_or(until, |t| t.0)));
    let wide = rounded((to - from).max(2.0));
    let task = bar.task.to_string();
    let who = bar.persona.as_ref().map_or("turno", |p| p.as_str());
    Bar {
        attempt: bar.attempt.to_string(),
        x: from,
        wide,
        paint: paint(&crate::view::word(&bar.kind)),
        ending: bar.ending.clone(),
        title: format!("{task} {who}: {}, {}", bar.said, dollars(bar.cost.0)),
        label: if task.len() as f64 * LETTER < wide - 6.0 {
            task
        } else {
            String::new()
        },
    }
}

/// A round step for sums up to `top`.
fn sum_step(top: u64) -> u64 {
    let mut decade = 10_000;
    loop {
        for factor in [1, 2, 5] {
            if top / (decade * factor) <= SUMS {
                return decade * factor;
            }
        }
        decade *= 10;
    }
}

/// Round times within a span.
fn times(from: i64, to: i64) -> impl Iterator<Item = i64> {
    const STEPS: [i64; 15] = [
        1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400,
    ];
    let span = to - from;
    let round = STEPS.iter().map(|s| s * 1000).find(|s| span / s <= TIMES);
    let step = round.unwrap_or(span / TIMES).max(1);
    let first = (from + step - 1).div_euclid(step) * step;
    (0..).map(move |n| first + n * step).take_while(move |t| *t <= to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(sum_step(10_000), 10_000);
        assert_eq!(sum_step(8_400_000), 2_000_000);
        assert!(u64::MAX / sum_step(u64::MAX / 4) > 0);
        let marks: Vec<i64> = times(500, 60_000).collect();
        assert_eq!(marks, [10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
        assert!(times(0, 400 * 86_400_000).count() <= 10);
    }
}
