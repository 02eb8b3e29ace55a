//! Owns the strictness of templates: finds names of variables that do not exist, in branches that are not taken
//! too. Tera itself only complains when such a variable is written out. It must not render.

use crate::config::Meant;
use crate::prompt::variables::VARIABLES;

/// A variable that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) meant: Meant,
}

/// What a name of the template's own stands for: a path into the variables, or something that is not known here.
struct Local {
    name: String,
    stands_for: Option<String>,
}

const WORDS: [&str; 39] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "set_global",
    "endset",
    "block",
    "endblock",
    "extends",
    "include",
    "filter",
    "endfilter",
    "raw",
    "endraw",
    "macro",
    "endmacro",
    "import",
    "as",
    "break",
    "continue",
    "component",
    "endcomponent",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "loop",
    "null",
    "ignore",
];

/// A tag of a template that is not in a raw part.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    words: Vec<Token<'a>>,
    /// The bytes of the template before it.
    at: usize,
}

impl Tag<'_> {
    /// What it begins with; empty for a comment.
    pub(super) fn first(&self) -> &str {
        let mut words = self.words.iter().map(|t| t.text);
        words.find(|text| *text != "-").unwrap_or_default()
    }

    /// Its line in the template, counted from 1. Takes time with the length of what is before.
    pub(super) fn line_in(&self, template: &str) -> u32 {
        let before = template.as_bytes().iter().take(self.at);
        u32::try_from(before.filter(|b| **b == b'\n').count()).unwrap_or(0) + 1
    }
}

/// The tags of a template, in order, till one that has no end.
pub(super) fn tags(template: &str) -> Tags<'_> {
    Tags {
        rest: template,
        at: 0,
        raw: false,
    }
}

/// See [`tags`].
#[derive(Debug)]
pub(super) struct Tags<'a> {
    rest: &'a str,
    /// The bytes of the template before the rest.
    at: usize,
    raw: bool,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            // One look for all three: to look for one that is not there costs the whole rest, at every tag.
            let bytes = self.rest.as_bytes();
            let opens = |at: &usize| matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#'));
            let start = memchr::memchr_iter(b'{', bytes).find(opens)?;
            let tag = self.rest.get(start..)?;
            let close = match tag.get(..2)? {
                "{{" => "}}",
                "{%" => "%}",
                _ => "#}",
            };
            let length = end_of(tag, close)?;
            let inner = tag.get(2..length)?;
            let words = if close == "#}" { Vec::new() } else { tokens(inner) };
            let at = self.at + start;
            self.rest = tag.get(length + 2..)?;
            self.at = at + length + 2;
            let tag = Tag { words, at };
            if self.raw {
                self.raw = tag.first() != "endraw";
            } else if tag.first() == "raw" {
                self.raw = true;
            } else {
                return Some(tag);
            }
        }
    }
}

/// The first name in the template that stands for nothing.
pub(super) fn unknown(template: &str) -> Option<Unknown> {
    let mut locals: Vec<Local> = Vec::new();
    tags(template).find_map(|tag| {
        let name = read_tag(&tag.words, &mut locals)?;
        Some(Unknown {
            line: tag.line_in(template),
            meant: nearest(&name),
            name,
        })
    })
}

/// The place of the tag's end, not looking into texts in quotes.
fn end_of(tag: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') && close != "#}" => quote = Some(c),
            None if at >= 2 && tag.get(at..)?.starts_with(close) => return Some(at),
            None => {}
        }
    }
    None
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name with dots.
    Path,
    /// Anything else.
    Other,
}

fn tokens(inner: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        let (length, kind) = if c.is_alphabetic() || c == '_' {
            let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '?');
            (rest.find(|c| !name(c)).unwrap_or(rest.len()), Kind::Path)
        } else if matches!(c, '"' | '\'' | '`') {
            let end = rest
                .get(1..)
                .and_then(|r| r.find(c))
                .map_or(rest.len(), |e| e + 2);
            (end, Kind::Other)
        } else if c.is_ascii_digit() {
            let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
            (rest.find(|c| !part(c)).unwrap_or(rest.len()), Kind::Other)
        } else if ["==", "!=", "<=", ">=", "|>"].iter().any(|o| rest.starts_with(o)) {
            (2, Kind::Other)
        } else {
            (c.len_utf8(), Kind::Other)
        };
        let (text, after) = rest.split_at(length);
        if !c.is_whitespace() {
            tokens.push(Token { text, kind });
        }
        rest = after;
    }
    tokens
}

/// Reads one tag: looks at each name in it, and learns the names that it gives.
fn read_tag(tokens: &[Token<'_>], locals: &mut Vec<Local>) -> Option<String> {
    let words: Vec<&Token<'_>> = tokens.iter().filter(|t| t.text != "-").collect();
    let text = |at: usize| words.get(at).map_or("", |t| t.text);
    let mut given = Vec::new();
    match text(0) {
        "for" => {
            let over = words.iter().position(|t| t.text == "in")?;
            let names = words.get(1..over)?.iter().filter(|t| t.kind == Kind::Path);
            let list = words.get(over + 1).filter(|t| t.kind == Kind::Path);
            let stands_for = list
                .and_then(|t| resolve(t.text, locals))
                .map(|p| format!("{p}[]"));
            given.extend(names.map(|t| Local {
                name: t.text.to_owned(),
                stands_for: stands_for.clone(),
            }));
            locals.extend(given);
            return first_unknown(words.get(over + 1..)?, locals);
        }
        "set" | "set_global" => {
            let name = text(1).to_owned();
            let unknown = words.get(3..).and_then(|rest| first_unknown(rest, locals));
            locals.push(Local {
                name,
                stands_for: None,
            });
            return unknown;
        }
        "endfor" => {
            // Names of a loop stay known after it: too kind, never too strict.
            return None;
        }
        _ => {}
    }
    first_unknown(&words, locals)
}

fn first_unknown(words: &[&Token<'_>], locals: &[Local]) -> Option<String> {
    let text = |at: usize| words.get(at).map_or("", |t| t.text);
    for (at, token) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", text);
        let after = text(at + 1);
        let is_test = before == "is" || (before == "not" && at.checked_sub(2).map_or("", text) == "is");
        let no_variable = token.kind != Kind::Path
            || WORDS.contains(&token.text)
            || token.text.starts_with("loop.")
            || matches!(before, "|" | "." | "block" | "endblock" | "filter")
            || is_test
            || matches!(after, "=" | "(");
        if !no_variable && resolve(token.text, locals).is_none() {
            return Some(token.text.to_owned());
        }
    }
    None
}

/// The path into the variables that a name stands for; `None` when there is none. A path that goes through a name
/// of the template's own that is not known here is taken as it is.
fn resolve(path: &str, locals: &[Local]) -> Option<String> {
    let path = path.replace('?', "");
    let (root, rest) = path.split_once('.').map_or((path.as_str(), ""), |(a, b)| (a, b));
    let local = locals.iter().rev().find(|l| l.name == root);
    let full = match local {
        Some(Local { stands_for: None, .. }) => return Some(path),
        Some(Local {
            stands_for: Some(to), ..
        }) if rest.is_empty() => return Some(to.clone()),
        Some(Local {
            stands_for: Some(to), ..
        }) => format!("{to}.{rest}"),
        None => path.clone(),
    };
    let known = VARIABLES.iter().any(|v| {
        v.path
            .strip_prefix(full.as_str())
            .is_some_and(|r| r.is_empty() || r.starts_with(['.', '[']))
    });
    known.then_some(full)
}

fn nearest(name: &str) -> Meant {
    let paths = VARIABLES.iter().map(|v| v.path).filter(|p| !p.contains("[]"));
    match Meant::among(name, paths) {
        Meant::OneOf(_) => {
            let mut roots: Vec<&str> = VARIABLES
                .iter()
                .filter_map(|v| v.path.split('.').next())
                .collect();
            roots.dedup();
            Meant::among(name, roots)
        }
        probably @ Meant::Probably(_) => probably,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("{{ task.title }} {% if round > 1 and not ask.because.by %}x{% endif %}")]
    #[case("{% for f in ask.earlier %}{{ f.place }} {{ loop.index }}{% endfor %}")]
    #[case("{% for a in task.acceptance -%}{{ a | upper }}{% endfor %}")]
    #[case("{{ task.brief | data(tag=\"task.brief\") }} {# {{ nothing.here }} #}")]
    #[case("{% set n = task.touches | length %}{{ n }} {{ 'a.b.c' }}")]
    #[case("{% raw %}{{ nothing }}{% endraw %}{{ round }}")]
    #[case(
        "{% if ask.kind == \"write\" %}{{ ask.checks | join(sep=\", \") }}{% elif ask.commit is defined %}x{% endif %}"
    )]
    fn what_exists_is_taken(#[case] template: &str) {
        assert_eq!(unknown(template), None);
    }

    /// Far more time than it takes, and far less than it took when each tag cost the whole rest.
    #[test]
    fn a_long_template_of_many_tags_is_looked_through_once() {
        let template = format!("{}{{{{ nothing }}}}", "{{ round }}".repeat(200_000));
        let begun = std::time::Instant::now();
        assert_eq!(unknown(&template).unwrap().name, "nothing");
        assert!(begun.elapsed().as_secs() < 30);
    }

    #[rstest]
    #[case("a\n{{ task.titel }}", "task.titel", 2)]
    #[case("{% if ronud > 1 %}{% endif %}", "ronud", 1)]
    #[case("{% for f in ask.earlier %}\n{{ f.plaice }}{% endfor %}", "f.plaice", 2)]
    #[case("{% for x in tasks %}{% endfor %}", "tasks", 1)]
    #[case("{% raw %}{% endraw %}{{ nothing }}", "nothing", 1)]
    #[case("{% set n = nothing %}", "nothing", 1)]
    fn what_does_not_exist_is_named(#[case] template: &str, #[case] name: &str, #[case] line: u32) {
        let found = unknown(template).unwrap();
        assert_eq!((found.name.as_str(), found.line), (name, line));
    }
}
