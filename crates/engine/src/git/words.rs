//! Owns how what git says is told: the cause first, then all of it. git's last line says why it gave up, and what
//! comes before may be long.

/// The subcommand alone.
pub(super) fn verb(what: &str) -> &str {
    what.split_whitespace().next().unwrap_or_default()
}

/// The line that says why: the last one in which git says that it is an error, else the last one.
pub(super) fn cause(stderr: &str) -> &str {
    let lines = || stderr.lines().map(str::trim).filter(|l| !l.is_empty());
    let says = |line: &&str| ["fatal: ", "error: "].iter().any(|w| line.starts_with(w));
    lines()
        .rfind(says)
        .or_else(|| lines().next_back())
        .unwrap_or("it said nothing")
}

/// What follows the cause, on lines of its own: the whole call and all that git said.
pub(super) fn rest(what: &str, stderr: &str) -> String {
    let all = stderr.trim();
    let said = if all == cause(stderr) {
        String::new()
    } else {
        format!("\n{all}")
    };
    if what == verb(what) && said.is_empty() {
        return said;
    }
    format!("\nthe call was: git {what}{said}")
}

/// The last `max` bytes of a text, from a character boundary.
pub(super) fn tail(text: &str, max: usize) -> String {
    let from = text.len().saturating_sub(max);
    let from = (from..=text.len())
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(text.len());
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_last_line_that_says_so() {
        let long = format!(
            "warning: x\nerror: unable to write file a\n{}fatal: cannot write\nhint: see",
            "x\n".repeat(9)
        );
        assert_eq!(cause(&long), "fatal: cannot write");
        assert_eq!(cause("one\ntwo\n"), "two");
        assert_eq!(cause(""), "it said nothing");
    }

    #[test]
    fn nothing_is_said_twice() {
        assert_eq!(rest("gc", "fatal: no"), "");
        assert_eq!(rest("add -A", "fatal: no\n"), "\nthe call was: git add -A");
        assert_eq!(
            rest("add -A", "a\nfatal: no"),
            "\nthe call was: git add -A\na\nfatal: no"
        );
    }
}
