//! Owns the page: a report in words, in the parts that every format shows in its own way. Every text in it is
//! harmless already: no control character, no mark of direction, of bounded length. What a format heeds as markup is
//! that format's to escape.

use serde::Serialize;

use crate::picture::{Gantt, Plot};

/// How something is meant, which picks its colour; words say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tone {
    Good,
    Bad,
    Asks,
    Plain,
}

/// One number that is looked at first.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
    pub(super) tone: Tone,
}

/// Something on a line of its own with what there is to know of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) code: String,
    pub(super) facts: Vec<String>,
}

/// One way to answer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Choice {
    pub(super) label: String,
    pub(super) detail: String,
    pub(super) is_recommended: bool,
    pub(super) command: String,
}

/// Something that shows what went wrong.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Exhibit {
    pub(super) what: String,
    /// May have several lines.
    pub(super) extract: String,
    /// Where all of it is.
    pub(super) place: String,
}

/// One thing that is told in full.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Card {
    pub(super) tone: Tone,
    pub(super) id: String,
    pub(super) title: String,
    pub(super) badge: String,
    /// The question, or why.
    pub(super) says: String,
    pub(super) options: Vec<Choice>,
    pub(super) items: Vec<Item>,
    pub(super) exhibits: Vec<Exhibit>,
    pub(super) facts: Vec<String>,
    pub(super) commands: Vec<String>,
}

impl Card {
    pub(super) fn new(tone: Tone, id: impl ToString, title: String) -> Self {
        Self {
            tone,
            id: id.to_string(),
            title,
            badge: String::new(),
            says: String::new(),
            options: Vec::new(),
            items: Vec::new(),
            exhibits: Vec::new(),
            facts: Vec::new(),
            commands: Vec::new(),
        }
    }
}

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Align {
    Left,
    Right,
}

/// A column's heading.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Column {
    pub(super) label: &'static str,
    pub(super) align: Align,
}

/// Rows of as many cells as there are columns.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Table {
    pub(super) caption: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
    /// The row of sums, where there is one.
    pub(super) sums: Option<Vec<String>>,
}

impl Table {
    /// A table whose columns are named `label`, those that begin with `>` to the right.
    pub(super) fn new(caption: &'static str, columns: &[&'static str]) -> Self {
        let columns = columns.iter().map(|label| match label.strip_prefix('>') {
            Some(label) => Column {
                label,
                align: Align::Right,
            },
            None => Column {
                label,
                align: Align::Left,
            },
        });
        Self {
            caption,
            columns: columns.collect(),
            rows: Vec::new(),
            sums: None,
        }
    }
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) enum Drawing {
    Plot(Plot),
    Gantt(Gantt),
}

/// A part of a section.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    Cards(Vec<Card>),
    Table(Table),
    /// Lines of a list.
    List(Vec<String>),
    /// A paragraph.
    Note(String),
    Picture {
        caption: &'static str,
        /// Drawn for HTML.
        svg: String,
        /// Classes and words of what its colours stand for.
        legend: Vec<(&'static str, &'static str)>,
        #[serde(skip)]
        drawing: Box<Drawing>,
    },
}

/// A section with a heading of its own.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) heading: &'static str,
    pub(super) count: String,
    pub(super) parts: Vec<Part>,
}

/// A whole report in words.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Page {
    pub(super) project: String,
    pub(super) title: String,
    pub(super) outcome: String,
    pub(super) tone: Tone,
    /// When, how long, in which mode.
    pub(super) lines: Vec<String>,
    /// What everybody must know before they read on.
    pub(super) warnings: Vec<String>,
    pub(super) tiles: Vec<Tile>,
    pub(super) sections: Vec<Section>,
    pub(super) foot: Vec<String>,
}
