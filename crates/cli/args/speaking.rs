//! Owns the words of the verbs by which a person speaks about the work and to those who do it. Types only, no logic.

use std::str::FromStr;

use clap::Args as ClapArgs;

use super::history::parse_said;
use super::{LogSubject, Subject, parse_subject};

#[derive(Debug, ClapArgs)]
pub(crate) struct Comment {
    /// A task (7.1), or an issue (7) for all that it has landed.
    #[arg(value_parser = parse_subject, value_name = "TASK|ISSUE")]
    pub(crate) subject: Subject,
    /// Where: a path within the repository, and a line of it as it is after the change.
    #[arg(long, value_name = "FILE[:LINE]")]
    pub(crate) on: Option<Place>,
    /// What is to be done; `-` reads it from standard input.
    #[arg(required = true, value_name = "TEXT", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) text: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Tell {
    /// An attempt (a3), or a task (7.1) for whoever runs for it.
    #[arg(value_parser = parse_said, value_name = "TASK|ATTEMPT")]
    pub(crate) to: LogSubject,
    /// What to say; `-` reads it from standard input.
    #[arg(required = true, value_name = "TEXT", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) text: Vec<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its path within the repository.
    pub(crate) file: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub(crate) line: u32,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, line) = match text.rsplit_once(':') {
            Some((file, line)) if !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit()) => {
                let line = line.parse().map_err(|_| format!("{line} is no line of a file"))?;
                (file, line)
            }
            Some(_) | None => (text, 0),
        };
        if file.is_empty() {
            return Err("a path within the repository is expected, like src/lib.rs:7".to_owned());
        }
        let file = file.strip_prefix("./").unwrap_or(file).to_owned();
        Ok(Self { file, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_and_perhaps_a_line() {
        let place = |text: &str| text.parse::<Place>().map(|p| (p.file, p.line));
        assert_eq!(place("src/a.rs:7"), Ok(("src/a.rs".to_owned(), 7)));
        assert_eq!(place("./a"), Ok(("a".to_owned(), 0)));
        assert_eq!(place("a:b"), Ok(("a:b".to_owned(), 0)));
        assert!(place(":7").is_err());
        assert!(place("a:99999999999").is_err());
    }
}
