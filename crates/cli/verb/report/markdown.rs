//! Shows a page as Markdown, for a ticket or a chat. Text from outside is escaped: it makes no heading, no link, no
//! picture, no mention and no HTML.

use super::page::{Align, Card, Drawing, Page, Part, Section, Table};
use crate::picture::text as picture;

/// The page as Markdown.
pub(super) fn markdown(page: &Page) -> String {
    let mut out = vec![
        format!(
            "# {}: {}, {}",
            escaped(&page.project),
            escaped(&page.title),
            escaped(&page.outcome)
        ),
        String::new(),
    ];
    for line in &page.lines {
        out.push(format!("{}  ", escaped(line)));
    }
    for warning in &page.warnings {
        out.push(String::new());
        out.push(format!("> **{}**", escaped(warning)));
    }
    out.push(String::new());
    let tiles = page.tiles.iter();
    out.push(format!(
        "| {} |",
        tiles.clone().map(|t| t.label).collect::<Vec<_>>().join(" | ")
    ));
    out.push(format!("|{}", " ---: |".repeat(page.tiles.len())));
    let values: Vec<String> = tiles
        .clone()
        .map(|t| format!("**{}**<br>{}", escaped(&t.value), escaped(&t.note)))
        .collect();
    out.push(format!("| {} |", values.join(" | ")));
    for section in &page.sections {
        show(section, &mut out);
    }
    out.push(String::new());
    out.push("---".to_owned());
    for line in &page.foot {
        out.push(String::new());
        out.push(escaped(line));
    }
    out.join("\n")
}

/// Text without anything that Markdown heeds.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '+' | '!' | '|' | '~' | '@' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // Some readers make a link of a name that begins so.
    out.replace("www.", "www\\.").replace("://", "\\://")
}

/// A text as code on one line, whatever marks it holds.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A bar would end a table's cell, in code too.
    let text = text.replace('|', "\u{2502}");
    if text.starts_with('`') || text.ends_with('`') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// Lines as they are, in a block that nothing in them can end.
fn block(lines: &[String], indent: &str, out: &mut Vec<String>) {
    let longest = lines
        .iter()
        .flat_map(|l| l.split(|c| c != '`'))
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    out.push(format!("{indent}{fence}text"));
    out.extend(lines.iter().map(|l| format!("{indent}{l}")));
    out.push(format!("{indent}{fence}"));
}

fn show(section: &Section, out: &mut Vec<String>) {
    out.push(String::new());
    let count = if section.count.is_empty() {
        String::new()
    } else {
        format!(" ({})", section.count)
    };
    out.push(format!("## {}{count}", section.heading));
    for part in &section.parts {
        out.push(String::new());
        match part {
            Part::Cards(cards) => {
                for (place, card) in cards.iter().enumerate() {
                    if place > 0 {
                        out.push(String::new());
                    }
                    show_card(card, out);
                }
            }
            Part::Table(table) => show_table(table, out),
            Part::List(lines) => out.extend(lines.iter().map(|l| format!("- {}", escaped(l)))),
            Part::Note(line) => out.push(escaped(line)),
            Part::Picture { caption, drawing, .. } => {
                out.push(format!("**{caption}**"));
                out.push(String::new());
                let lines = match drawing.as_ref() {
                    Drawing::Plot(plot) => picture::plot(plot, 90, 7),
                    Drawing::Gantt(gantt) => picture::gantt(gantt, 90),
                };
                block(&lines, "", out);
            }
        }
    }
}

fn show_card(card: &Card, out: &mut Vec<String>) {
    let badge = if card.badge.is_empty() {
        String::new()
    } else {
        format!(" ({})", escaped(&card.badge))
    };
    out.push(format!(
        "### {} {}{badge}",
        escaped(&card.id),
        escaped(&card.title)
    ));
    out.push(String::new());
    if !card.says.is_empty() {
        out.push(escaped(&card.says));
        out.push(String::new());
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
            format!(": {}", escaped(&option.detail))
        };
        out.push(format!(
            "- **{}**{recommended}{detail}: {}",
            escaped(&option.label),
            code(&option.command)
        ));
    }
    for item in &card.items {
        out.push(format!(
            "- **{}** {} {}  ",
            escaped(&item.id),
            escaped(&item.title),
            code(&item.code)
        ));
        out.push(format!("  {}", escaped(&item.facts.join("; "))));
    }
    for exhibit in &card.exhibits {
        let place = if exhibit.place.is_empty() {
            String::new()
        } else {
            format!(" {}", code(&exhibit.place))
        };
        out.push(format!("- {}{place}", escaped(&exhibit.what)));
        if !exhibit.extract.is_empty() {
            out.push(String::new());
            let lines: Vec<String> = exhibit.extract.lines().map(str::to_owned).collect();
            block(&lines, "  ", out);
        }
    }
    if !card.facts.is_empty() {
        out.push(String::new());
        out.push(escaped(&card.facts.join("; ")));
    }
    if !card.commands.is_empty() {
        out.push(String::new());
        block(&card.commands, "", out);
    }
}

fn show_table(table: &Table, out: &mut Vec<String>) {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    out.push(format!("**{}**", table.caption));
    out.push(String::new());
    out.push(line(
        &table
            .columns
            .iter()
            .map(|c| c.label.to_owned())
            .collect::<Vec<_>>(),
    ));
    let marks = table.columns.iter().map(|c| match c.align {
        Align::Left => "---",
        Align::Right => "---:",
    });
    out.push(format!("| {} |", marks.collect::<Vec<_>>().join(" | ")));
    for row in &table.rows {
        out.push(line(&row.iter().map(|c| escaped(c)).collect::<Vec<_>>()));
    }
    if let Some(sums) = &table.sums {
        let bold = |c: &String| {
            if c.is_empty() {
                String::new()
            } else {
                format!("**{}**", escaped(c))
            }
        };
        out.push(line(&sums.iter().map(bold).collect::<Vec<_>>()));
    }
}
