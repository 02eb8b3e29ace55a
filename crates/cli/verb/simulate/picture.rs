//! Owns a picture of slots against time, as text and as SVG. It knows rows and nothing of what they stand for.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::units::Span;

use crate::print;

/// One thing that went on somewhere for a while. Its label begins with a word that says what kind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) slot: String,
    pub(super) from: Span,
    pub(super) to: Span,
    pub(super) label: String,
}

impl Row {
    fn kind(&self) -> &str {
        self.label.split(' ').next().unwrap_or_default()
    }
}

/// The letter of a kind: its first one, large, unless an earlier kind has it.
fn letters(rows: &[Row]) -> BTreeMap<&str, char> {
    let mut taken = BTreeSet::new();
    let mut letters = BTreeMap::new();
    for kind in rows.iter().map(Row::kind).collect::<BTreeSet<_>>() {
        let mut wanted = kind.chars().flat_map(char::to_uppercase);
        let letter = wanted.find(|c| taken.insert(*c)).unwrap_or('#');
        letters.insert(kind, letter);
    }
    letters
}

fn end(rows: &[Row]) -> u64 {
    rows.iter().map(|r| r.to.0).max().unwrap_or(0).max(1)
}

fn slots(rows: &[Row]) -> Vec<&str> {
    // In the order in which they were first used; landing is a slot like any other here.
    let mut seen: Vec<&str> = Vec::new();
    for row in rows {
        if !seen.contains(&row.slot.as_str()) {
            seen.push(&row.slot);
        }
    }
    seen.sort_by_key(|s| (!s.starts_with('s'), s.len(), *s));
    seen
}

/// One line for each slot, a letter for each stretch of time in which it was used, and what the letters mean.
pub(super) fn text(rows: &[Row], width: usize) -> Vec<String> {
    let letters = letters(rows);
    let slots = slots(rows);
    let margin = slots.iter().map(|s| s.len()).max().unwrap_or(0);
    let columns = width.saturating_sub(margin + 4).max(10) as u64;
    let each = end(rows).div_ceil(columns);
    let mut lines = Vec::new();
    for slot in slots {
        let used: String = (0..columns)
            .map(|column| {
                let (from, to) = (column * each, (column + 1) * each);
                // What filled most of the stretch.
                let inside = |r: &&Row| r.slot == slot && r.from.0 < to && r.to.0 > from;
                let filled = |r: &&Row| r.to.0.min(to) - r.from.0.max(from);
                let most = rows.iter().filter(inside).max_by_key(filled);
                most.and_then(|r| letters.get(r.kind()).copied()).unwrap_or('.')
            })
            .collect();
        lines.push(format!("  {slot:margin$} {}", used.trim_end_matches('.')));
    }
    let legend: Vec<String> = letters
        .iter()
        .map(|(kind, letter)| format!("{letter} {kind}"))
        .collect();
    lines.push(format!(
        "  {} letter is {}: {}",
        if each == 1 { "a" } else { "one" },
        print::elapsed(Span(each)),
        legend.join(", ")
    ));
    lines
}

/// Colours that those who do not see all of them can tell apart (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999",
];

/// The same as a drawing.
pub(super) fn svg(rows: &[Row]) -> String {
    const LEFT: u64 = 60;
    const WIDE: u64 = 1000;
    const HIGH: u64 = 26;
    let slots = slots(rows);
    let kinds: Vec<&str> = letters(rows).into_keys().collect();
    let all = end(rows);
    let at =
        |ms: u64| LEFT + u64::try_from(u128::from(ms) * u128::from(WIDE) / u128::from(all)).unwrap_or(WIDE);
    let below = (slots.len() as u64 + 1) * HIGH;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"11\">\n",
        LEFT + WIDE + 20,
        below + 60
    );
    let colour = |kind: &str| {
        let at = kinds.iter().position(|k| *k == kind).unwrap_or(0);
        COLOURS.get(at % COLOURS.len()).copied().unwrap_or("#999999")
    };
    for (n, slot) in (0_u64..).zip(&slots) {
        let y = n * HIGH + 10;
        put(
            &mut out,
            format_args!("<text x=\"6\" y=\"{}\">{}</text>\n", y + 15, escaped(slot)),
        );
        for row in rows.iter().filter(|r| r.slot == *slot) {
            let (from, to) = (at(row.from.0), at(row.to.0));
            let label = escaped(&row.label);
            put(
                &mut out,
                format_args!(
                    "<rect x=\"{from}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"#fff\"><title>{label}, \
                     {} to {}</title></rect>\n",
                    (to - from).max(1),
                    HIGH - 4,
                    colour(row.kind()),
                    print::elapsed(row.from),
                    print::elapsed(row.to)
                ),
            );
            if to - from > 7 * row.label.len() as u64 {
                put(
                    &mut out,
                    format_args!(
                        "<text x=\"{}\" y=\"{}\" fill=\"#000\">{label}</text>\n",
                        from + 4,
                        y + 15
                    ),
                );
            }
        }
    }
    for tick in 0..=8 {
        let ms = all / 8 * tick;
        put(
            &mut out,
            format_args!(
                "<text x=\"{}\" y=\"{below}\">{}</text>\n",
                at(ms),
                print::elapsed(Span(ms))
            ),
        );
    }
    for (n, kind) in (0_u64..).zip(&kinds) {
        let x = LEFT + n * 90;
        put(
            &mut out,
            format_args!(
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
                below + 20,
                colour(kind),
                x + 16,
                below + 30,
                escaped(kind)
            ),
        );
    }
    out.push_str("</svg>\n");
    out
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.push_str(&what.to_string());
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(slot: &str, from: u64, to: u64, label: &str) -> Row {
        Row {
            slot: slot.to_owned(),
            from: Span(from * 60_000),
            to: Span(to * 60_000),
            label: label.to_owned(),
        }
    }

    fn night() -> Vec<Row> {
        vec![
            row("s1", 0, 10, "plan 1.0"),
            row("s2", 10, 30, "write 1.1"),
            row("s1", 12, 20, "write 1.2"),
            row("land", 30, 32, "land 1.1"),
            row("s10", 30, 32, "review <1.2>"),
        ]
    }

    #[test]
    fn a_night_is_drawn_in_letters() {
        let drawn = text(&night(), 40);
        assert_eq!(
            drawn,
            [
                "  s1   PPPPPPPPPP..WWWWWWWW",
                "  s2   ..........WWWWWWWWWWWWWWWWWWWW",
                "  s10  ..............................RR",
                "  land ..............................LL",
                "  one letter is 1:00: L land, P plan, R review, W write",
            ]
        );
        assert_eq!(text(&[], 40).len(), 1);
    }

    #[test]
    fn a_drawing_holds_each_row_and_no_markup_of_labels() {
        let drawn = svg(&night());
        assert_eq!(drawn.matches("<title>").count(), 5);
        assert!(
            drawn.contains("review &lt;1.2&gt;") && !drawn.contains("<1.2>"),
            "{drawn}"
        );
    }
}
