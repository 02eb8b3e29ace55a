//! Draws the pictures as SVG: no colour is named, each part has a class that the style gives one to. The style is here
//! too, so that every page and file that shows a picture has the same. All text is escaped.

use turno_core::units::{MicroUsd, Timestamp};

use super::{Gantt, Plot, Went, money_ticks, place, tick_label, time_ticks};
use crate::print;

/// The colours by name, for light and for dark.
pub(crate) const PALETTE: &str = include_str!("palette.css");
/// What the parts of a picture look like, in those colours.
pub(crate) const STYLE: &str = include_str!("picture.css");

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;

/// Text for an element or an attribute, without what a reader does not see.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if print::is_unseen(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A picture's opening, with its title and its description for those who do not see it.
fn open(id: &str, height: f64, title: &str, described: &str) -> String {
    format!(
        "<svg class=\"picture\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        escaped(title),
        escaped(described)
    )
}

/// Adds a piece of text.
macro_rules! put {
    ($svg:expr, $($arg:tt)*) => { $svg.push_str(&format!($($arg)*)) };
}

fn inner() -> f64 {
    WIDTH - LEFT - RIGHT
}

/// Money over time.
pub(crate) fn plot(plot: &Plot, id: &str) -> String {
    const TOP: f64 = 16.0;
    const TALL: f64 = 210.0;
    let height = TOP + TALL + 30.0;
    let last = plot.points.last().map_or(MicroUsd::ZERO, |p| p.1);
    let described = format!(
        "From {} to {}, {} were spent; {}.",
        print::clock(plot.from),
        print::clock(plot.to),
        print::dollars(last),
        plot.limit_words()
    );
    let mut svg = open(id, height, "Money spent over time", &described);
    let top = plot.top();
    let room = 1.06;
    let y = |m: MicroUsd| TOP + TALL - (m.0 as f64 / (top.0 as f64 * room)) * TALL;
    let x = |at| LEFT + place(at, plot.from, plot.to, inner());
    for tick in money_ticks(top, 5) {
        let at = y(tick);
        put!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT + inner(),
            LEFT - 8.0,
            at + 4.0,
            escaped(&print::dollars(tick))
        );
    }
    times(&mut svg, plot.clock, (plot.from, plot.to), TOP, TOP + TALL);
    if let Some((first, rest)) = plot.points.split_first() {
        let mut line = format!("M{:.1} {:.1}", x(first.0), y(first.1));
        for (at, spent) in rest {
            put!(line, "H{:.1}V{:.1}", x(*at), y(*spent));
        }
        put!(line, "H{:.1}", x(plot.to));
        put!(
            svg,
            "<path class=\"area\" d=\"{line}V{:.1}H{:.1}Z\"/><path class=\"line\" d=\"{line}\"/>",
            y(MicroUsd::ZERO),
            x(first.0)
        );
    }
    if plot.shows_limit() {
        limit(&mut svg, plot, x, y);
    }
    svg.push_str("</svg>");
    svg
}

/// What might be spent: a line with a step wherever a person changed it, and its sum at each step.
fn limit(svg: &mut String, plot: &Plot, x: impl Fn(Timestamp) -> f64, y: impl Fn(MicroUsd) -> f64) {
    let mut line = String::new();
    for (place, (at, limit)) in plot.limits.iter().enumerate() {
        // The first held from the beginning.
        let from = if place == 0 { LEFT } else { x(*at) };
        line.push_str(&match place {
            0 => format!("M{from:.1} {:.1}", y(*limit)),
            _ => format!("H{from:.1}V{:.1}", y(*limit)),
        });
        // Beside the step, and to its left where there is no room.
        let (anchor, side) = if from > LEFT + inner() - 100.0 {
            (from - 6.0, "end")
        } else {
            (from + 6.0, "start")
        };
        put!(
            svg,
            "<text class=\"limit-word\" x=\"{anchor:.1}\" y=\"{:.1}\" text-anchor=\"{side}\">budget {}</text>",
            y(*limit) + 15.0,
            escaped(&print::dollars(*limit))
        );
    }
    put!(svg, "<path class=\"limit\" d=\"{line}H{:.1}\"/>", LEFT + inner());
}

/// The axis of time, with lines from top to bottom.
fn times(svg: &mut String, clock: super::Clock, (from, to): (Timestamp, Timestamp), top: f64, bottom: f64) {
    for tick in time_ticks(from, to, 8) {
        let at = LEFT + place(tick, from, to, inner());
        put!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
        );
        if !(LEFT + 20.0..=WIDTH - 24.0).contains(&at) {
            continue;
        }
        put!(
            svg,
            "<text class=\"axis\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            escaped(&tick_label(clock, tick, to.since(from)))
        );
    }
}

/// Slots over time.
pub(crate) fn gantt(gantt: &Gantt, id: &str) -> String {
    let (height, body) = chart(gantt);
    let mut svg = open(id, height, "Slots over time", &described(gantt));
    svg.push_str(&body);
    svg.push_str("</svg>");
    svg
}

/// The same as a file of its own, with what its colours stand for below. Not every program that shows such files knows
/// named colours, so the light ones are written out.
pub(crate) fn file(gantt: &Gantt) -> String {
    const LEGEND: f64 = 30.0;
    let (height, body) = chart(gantt);
    let mut style = STYLE.to_owned();
    let light = PALETTE.split('}').next().unwrap_or_default();
    for (name, value) in light.split(';').filter_map(|d| d.split_once(": ")) {
        if let Some(at) = name.find("--") {
            style = style.replace(&format!("var({})", &name[at..]), value);
        }
    }
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         font-family=\"sans-serif\"><title>Slots over time</title><desc>{}</desc><style>{style}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}",
        height + LEGEND,
        escaped(&described(gantt))
    );
    for (place, kind) in gantt.kinds().into_iter().enumerate() {
        let x = LEFT + 120.0 * place as f64;
        put!(
            svg,
            "<rect class=\"bar {}\" x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" rx=\"2\"/>\
             <text class=\"axis row\" x=\"{}\" y=\"{}\">{}</text>",
            kind.class(),
            height + 4.0,
            x + 18.0,
            height + 14.0,
            escaped(kind.word())
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn described(gantt: &Gantt) -> String {
    let bars: usize = gantt.rows.iter().map(|r| r.bars.len()).sum();
    let mut described = format!(
        "{bars} attempts in {} rows, one for each slot and one for landing",
        gantt.rows.len()
    );
    if !gantt.queue.is_empty() {
        put!(
            described,
            "; at most {} tasks waited at once",
            gantt.longest_queue()
        );
    }
    described.push('.');
    described
}

/// All of a chart but its frame, and how high it is.
fn chart(gantt: &Gantt) -> (f64, String) {
    const TOP: f64 = 8.0;
    const ROW: f64 = 34.0;
    const BAR: f64 = 24.0;
    const QUEUE: f64 = 44.0;
    let rows = TOP + ROW * gantt.rows.len() as f64;
    let bottom = if gantt.queue.is_empty() {
        rows
    } else {
        rows + QUEUE
    };
    let mut svg = String::new();
    svg.push_str(
        "<defs><pattern id=\"no\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>",
    );
    let x = |at| LEFT + place(at, gantt.from, gantt.to, inner());
    times(&mut svg, gantt.clock, (gantt.from, gantt.to), TOP, bottom);
    for (place, row) in gantt.rows.iter().enumerate() {
        let top = TOP + ROW * place as f64;
        let (y, middle) = (top + (ROW - BAR) / 2.0, top + ROW / 2.0 + 4.0);
        put!(
            svg,
            "<rect class=\"idle\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"3\"/>\
             <text class=\"axis row\" x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
            inner(),
            LEFT - 8.0,
            escaped(&row.label)
        );
        for bar in &row.bars {
            let (from, to) = (x(bar.from), x(bar.to));
            // A gap of half a point keeps neighbours apart; what is very short is still seen.
            let wide = (to - from - 0.6).max(1.4);
            put!(
                svg,
                "<g><title>{}</title><rect class=\"bar {}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" \
                 height=\"{BAR}\" rx=\"2\"/>",
                escaped(&bar.title),
                bar.paint.class()
            );
            if bar.went == Went::Badly {
                put!(
                    svg,
                    "<rect class=\"no\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{BAR}\" rx=\"2\" \
                     fill=\"url(#no)\"/><rect class=\"no-edge\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" \
                     height=\"3\"/>",
                    y + BAR - 3.0
                );
            }
            for (since, until) in &bar.pauses {
                let (since, until) = (x(*since), x(*until));
                put!(
                    svg,
                    "<rect class=\"pause\" x=\"{since:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"6\"/>",
                    y + 3.0,
                    (until - since).max(1.0)
                );
            }
            // About seven points for each character.
            if wide > 7.2 * bar.label.chars().count() as f64 + 6.0 {
                put!(
                    svg,
                    "<text class=\"in-bar\" x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"middle\">{}</text>",
                    from + wide / 2.0,
                    escaped(&bar.label)
                );
            }
            svg.push_str("</g>");
        }
    }
    if !gantt.queue.is_empty() {
        queue(&mut svg, gantt, rows + 6.0, QUEUE - 8.0);
    }
    (bottom + 28.0, svg)
}

/// How many tasks waited.
fn queue(svg: &mut String, gantt: &Gantt, top: f64, tall: f64) {
    let most = f64::from(gantt.longest_queue().max(1));
    let x = |at| LEFT + place(at, gantt.from, gantt.to, inner());
    let y = |tasks: u32| top + tall - f64::from(tasks) / most * (tall - 4.0);
    let mut line = format!("M{LEFT} {:.1}", y(0));
    for (at, tasks) in &gantt.queue {
        put!(line, "H{:.1}V{:.1}", x(*at), y(*tasks));
    }
    put!(line, "H{:.1}V{:.1}Z", LEFT + inner(), y(0));
    put!(
        svg,
        "<path class=\"queue\" d=\"{line}\"><title>Tasks that waited for a slot, an agent, a turn to land, money or \
         another try: at most {} at once</title></path>\
         <text class=\"axis row\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">waiting</text>\
         <text class=\"axis small\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">up to {}</text>",
        gantt.longest_queue(),
        LEFT - 8.0,
        top + tall / 2.0,
        LEFT - 8.0,
        top + tall / 2.0 + 14.0,
        gantt.longest_queue()
    );
}
