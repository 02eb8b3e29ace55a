//! Owns the words of the verb that watches a workspace from a terminal. Types only, no logic.

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct Top {
    /// Print it once as text, and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// How many columns and lines it has with --once.
    #[arg(
        long,
        value_name = "COLUMNSxLINES",
        default_value = "80x24",
        requires = "once"
    )]
    #[arg(value_parser = parse_size)]
    pub(crate) size: Size,
}

/// A number of columns and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: u16,
    pub(crate) lines: u16,
}

fn parse_size(text: &str) -> Result<Size, String> {
    let wrong = || "a size is columns x lines, like 80x24, each from 20 and 5 to 500".to_owned();
    let (columns, lines) = text.split_once('x').ok_or_else(wrong)?;
    let (Ok(columns), Ok(lines)) = (columns.parse(), lines.parse()) else {
        return Err(wrong());
    };
    if (20..=500).contains(&columns) && (5..=500).contains(&lines) {
        Ok(Size { columns, lines })
    } else {
        Err(wrong())
    }
}
