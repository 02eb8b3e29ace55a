//! Shows a page in a terminal: colours where there are any, and all of it readable without.

use super::page::{Align, Card, Drawing, Page, Part, Section, Table, Tone};
use crate::picture::text as picture;
use crate::print::{self, bold, dim, folded, green, red};

/// The page in lines of at most `width` characters; only words that are longer than that are not broken.
pub(super) fn text(page: &Page, width: usize) -> String {
    let mut out = Vec::new();
    out.push(format!(
        "{}  {}: {}",
        bold(&page.project),
        bold(&page.title),
        paint(page.tone)(&page.outcome)
    ));
    out.extend(page.lines.iter().map(|l| dim(l)));
    out.extend(
        page.warnings
            .iter()
            .map(|w| red(&folded(&format!("! {w}"), Some(width), 0))),
    );
    out.push(String::new());
    for tile in &page.tiles {
        out.push(format!(
            "  {:<9}{} {}",
            tile.label,
            paint(tile.tone)(&format!("{:>9}", tile.value)),
            dim(&tile.note)
        ));
    }
    for section in &page.sections {
        show(section, width, &mut out);
    }
    out.push(String::new());
    out.extend(page.foot.iter().map(|l| dim(&folded(l, Some(width), 0))));
    out.join("\n")
}

fn paint(tone: Tone) -> fn(&str) -> String {
    match tone {
        Tone::Good => green,
        Tone::Bad | Tone::Asks => red,
        Tone::Plain => bold,
    }
}

fn show(section: &Section, width: usize, out: &mut Vec<String>) {
    out.push(String::new());
    let count = if section.count.is_empty() {
        String::new()
    } else {
        format!(" ({})", section.count)
    };
    out.push(bold(&format!("{}{count}", section.heading.to_uppercase())));
    for (place, part) in section.parts.iter().enumerate() {
        match part {
            Part::Cards(cards) => {
                for card in cards {
                    show_card(card, width, out);
                }
            }
            Part::Table(table) => {
                if place > 0 {
                    out.push(String::new());
                }
                show_table(table, width, out);
            }
            Part::List(lines) => {
                out.extend(lines.iter().map(|l| format!("  - {}", folded(l, Some(width), 4))));
            }
            Part::Note(line) => out.push(format!("  {}", folded(line, Some(width), 2))),
            Part::Picture { drawing, .. } => {
                if place > 0 {
                    out.push(String::new());
                }
                out.extend(match drawing.as_ref() {
                    Drawing::Plot(plot) => picture::plot(plot, width, 7),
                    Drawing::Gantt(gantt) => picture::gantt(gantt, width),
                });
            }
        }
    }
}

fn show_card(card: &Card, width: usize, out: &mut Vec<String>) {
    let line =
        |indent: usize, text: &str| format!("{}{}", " ".repeat(indent), folded(text, Some(width), indent));
    let head = wide(&card.id) + wide(&card.title) + wide(&card.badge) + 5;
    let badge = match (card.badge.as_str(), head <= width) {
        ("", _) => String::new(),
        (badge, true) => format!("  {}", paint(card.tone)(badge)),
        (badge, false) => format!("\n    {}", paint(card.tone)(badge)),
    };
    let title = folded(&card.title, Some(width), wide(&card.id) + 3);
    out.push(format!("  {} {title}{badge}", bold(&card.id)));
    if !card.says.is_empty() {
        out.push(line(4, &card.says));
    }
    for option in &card.options {
        let recommended = if option.is_recommended {
            " (recommended)"
        } else {
            ""
        };
        let detail = if option.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", option.detail)
        };
        out.push(line(6, &format!("{}{recommended}{detail}", option.label)));
        out.push(format!("        $ {}", bold(&option.command)));
    }
    for item in &card.items {
        out.push(format!(
            "    {} {} {} {}",
            green("✓"),
            item.id,
            dim(&item.code),
            item.title
        ));
        out.push(dim(&line(8, &item.facts.join("; "))));
    }
    for exhibit in &card.exhibits {
        out.push(line(4, &format!("{}:", exhibit.what.trim_end_matches(':'))));
        for (place, extract) in exhibit.extract.lines().enumerate() {
            // The end of an output says most; a file has all of it.
            let lines = exhibit.extract.lines().count();
            if place + 12 >= lines {
                out.push(dim(&format!(
                    "      | {}",
                    print::plain(extract, width.saturating_sub(8))
                )));
            }
        }
        if !exhibit.place.is_empty() {
            out.push(dim(&format!("      {}", exhibit.place)));
        }
    }
    if !card.facts.is_empty() {
        out.push(dim(&line(4, &card.facts.join("; "))));
    }
    for command in &card.commands {
        out.push(format!("    $ {}", bold(command)));
    }
}

/// How many characters a text takes, as far as that can be told.
fn wide(text: &str) -> usize {
    text.chars().count()
}

/// A text in pieces of at most `width` characters, broken between words where that is possible.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + wide(word) <= width {
            piece.push(' ');
            used += 1;
        } else if used > 0 {
            pieces.push(std::mem::take(&mut piece));
            used = 0;
        }
        for c in word.chars() {
            if used == width {
                pieces.push(std::mem::take(&mut piece));
                used = 0;
            }
            piece.push(c);
            used += 1;
        }
    }
    pieces.push(piece);
    pieces
}

/// A table whose widest left-aligned column gives way where the width does not suffice.
fn show_table(table: &Table, width: usize, out: &mut Vec<String>) {
    let all = || table.rows.iter().chain(&table.sums);
    let mut widths: Vec<usize> = table.columns.iter().map(|c| wide(c.label)).collect();
    for row in all() {
        for (place, cell) in row.iter().enumerate() {
            widths[place] = widths[place].max(wide(cell));
        }
    }
    let longest = |text: &str| text.split(' ').map(wide).max().unwrap_or(0).min(14);
    let least: Vec<usize> = (0..widths.len())
        .map(|place| {
            let cells = all().filter_map(|r| r.get(place)).map(|c| longest(c));
            cells
                .chain([longest(table.columns[place].label)])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let gaps = 2 * widths.len();
    let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
    let mut over = over;
    while over > 0 {
        // No column gets narrower than its longest word, as far as that is no monster.
        let widest = (0..widths.len())
            .filter(|p| widths[*p] > least[*p])
            .max_by_key(|p| widths[*p]);
        let Some(place) = widest else {
            break;
        };
        widths[place] -= 1;
        over -= 1;
    }
    let lines = |cells: &[String]| {
        let cells: Vec<Vec<String>> = cells.iter().zip(&widths).map(|(c, w)| broken(c, *w)).collect();
        let many = cells.iter().map(Vec::len).max().unwrap_or(0);
        let line = |n: usize| {
            let mut line = String::new();
            for (place, cell) in cells.iter().enumerate() {
                let part = cell.get(n).map_or("", String::as_str);
                let pad = " ".repeat(widths[place].saturating_sub(wide(part)));
                line.push_str("  ");
                match table.columns[place].align {
                    Align::Left => line.push_str(&format!("{part}{pad}")),
                    Align::Right => line.push_str(&format!("{pad}{part}")),
                }
            }
            line.trim_end().to_owned()
        };
        (0..many).map(line).collect::<Vec<_>>().join("\n")
    };
    let head: Vec<String> = table.columns.iter().map(|c| c.label.to_owned()).collect();
    out.push(dim(&lines(&head)));
    out.extend(table.rows.iter().map(|r| lines(r)));
    if let Some(sums) = &table.sums {
        out.push(bold(&lines(sums)));
    }
}
