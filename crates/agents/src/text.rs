//! Owns what is done to text on its way to people: cutting it to a line, finding a fenced block in it.

use serde_json::{Value, json};

/// How long a line for people may be, in characters.
const LINE: usize = 160;

/// Text as one line for people: no control characters, single spaces, cut when long.
pub(crate) fn line(text: &str) -> String {
    line_of(text, LINE)
}

/// Text as one line of at most `limit` characters.
pub(crate) fn line_of(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !out.is_empty();
            continue;
        }
        let space = usize::from(gap);
        if length + space + 2 > limit {
            out.push('…');
            return out;
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(c);
        length += space + 1;
    }
    out
}

/// The end of what a program wrote to its standard error, as one line; the last lines say most.
pub(crate) fn last_words(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let from = lines.len().saturating_sub(3);
    line_of(&lines[from..].join(" / "), 400)
}

/// The content of the last fenced block that is marked as JSON or is unmarked and begins like an object.
pub(crate) fn last_fenced_json(text: &str) -> Option<String> {
    let mut found = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let opening = line.trim_start();
        let ticks = opening.chars().take_while(|c| *c == '`').count();
        if ticks < 3 {
            continue;
        }
        let language = opening[ticks..].trim().to_ascii_lowercase();
        let fence = &opening[..ticks];
        let mut block = Vec::new();
        for inner in lines.by_ref() {
            let closing = inner.trim();
            if closing.starts_with(fence) && closing.chars().all(|c| c == '`') {
                break;
            }
            block.push(inner);
        }
        let block = block.join("\n");
        if language == "json" || (language.is_empty() && block.trim_start().starts_with('{')) {
            found = Some(block);
        }
    }
    found
}

/// The value of a string property near the beginning of a JSON line that was cut off.
pub(crate) fn property_of_cut<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\":");
    let after = line[line.find(&key)? + key.len()..]
        .trim_start()
        .strip_prefix('"')?;
    let value = &after[..after.find('"')?];
    (!value.contains('\\')).then_some(value)
}

/// The id of a request whose line was cut: a number or a word.
pub(crate) fn id_of_cut(line: &str) -> Option<Value> {
    let after = line[line.find("\"id\":")? + 5..].trim_start();
    let digits = after.chars().take_while(char::is_ascii_digit).count();
    match digits {
        0 => property_of_cut(line, "id").map(|id| json!(id)),
        _ => after[..digits].parse::<u64>().ok().map(|id| json!(id)),
    }
}
