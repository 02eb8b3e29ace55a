//! Owns the tricks: texts that would do something on a surface that takes them as they are. Each has the mark of the
//! place that it came from before it, so that a story sees where it was shown.

/// Stands before every text from outside.
pub(super) const MARK: &str = "kilroy-";

/// What each is called, and the text.
pub(super) const TRICKS: [(&str, &str); 22] = [
    ("an element", "<img src=x onerror=document.title='owned'>"),
    (
        "a script",
        "</script></title><script>document.title='owned'</script>",
    ),
    (
        "an attribute",
        "\" autofocus onfocus=document.title='owned' style=\"position:fixed;inset:0",
    ),
    ("another attribute", "' onmouseover='document.title=1"),
    (
        "a request",
        "<link rel=stylesheet href=http://127.0.0.1:9/owned><iframe src=//127.0.0.1:9/></iframe>",
    ),
    ("a comment", "--><!-- ]]></style><svg onload=document.title=1>"),
    ("a template", "{{ 7 * 7 }}{% include 'base.html' %}"),
    (
        "markdown",
        "[x](javascript:document.title=1) ![y](http://127.0.0.1:9/owned) | `a` | **b**",
    ),
    ("a colour", "\u{1b}[31mtheirs\u{1b}[0m"),
    ("concealment", "\u{1b}[8m"),
    ("a cleared screen", "\u{1b}[3J\u{1b}[77;3H"),
    ("another screen", "\u{1b}[?47h\u{1b}[?1002h"),
    ("a title", "\u{1b}]0;owned\u{7}"),
    ("a clipboard", "\u{1b}]52;c;b3duZWQ=\u{7}"),
    (
        "a link",
        "\u{1b}]8;;http://owned.invalid\u{1b}\\here\u{1b}]8;;\u{1b}\\",
    ),
    ("a device string", "\u{1b}P$q\"p\u{1b}\\\u{1b}_G\u{1b}\\"),
    ("one-byte controls", "\u{9b}8m\u{9d}0;owned\u{9c}\u{85}"),
    ("old controls", "\u{7}\u{8}\u{b}\u{c}\u{e}\u{f}\u{7f}\0"),
    ("a direction", "\u{202e}gnp.exe\u{2066}\u{2067}\u{200f}"),
    ("a script from the right", "\u{5d0}\u{5d1}\u{5d2} 12"),
    (
        "nothing to be seen",
        "a\u{200b}b\u{feff}c\u{ad}d\u{3164}e\u{e0041}\u{2028}f",
    ),
    (
        "a heap of marks",
        "z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}\u{30c}\u{30d}\u{30e}\u{30f}",
    ),
];

/// All tricks in one text, with the mark of a place. A zero ends an argument, so it is left out here.
pub(super) fn harm(place: &str) -> String {
    let tricks: Vec<&str> = TRICKS.iter().map(|(_, trick)| *trick).collect();
    format!(
        "{MARK}{place} {} {}",
        tricks.join(" ").replace('\0', ""),
        "W".repeat(300)
    )
}

/// A line that looks like one of Turno's own, for a text of one line.
pub(super) fn forgery(place: &str) -> String {
    format!("\nforged-by-{place}\r\u{85}forged-by-{place}")
}

/// Whether a terminal would heed a trick if it came whole.
pub(super) fn is_heeded(trick: &str) -> bool {
    trick.contains(|c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{301}')
    })
}

/// A text as YAML has it, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    let mut told = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => told.extend(['\\', c]),
            ' '..='~' => told.push(c),
            c => told.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    told.push('"');
    told
}

/// The first thing in a text that a terminal heeds and that no verb has to write: all but line ends, tabs, and the
/// sequences that move the cursor, wipe and paint.
pub(super) fn stray(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let here = rest;
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\n' | '\r' | '\t' => {}
            '\u{1b}' => {
                let params = rest.strip_prefix('[').unwrap_or_default();
                let end = params.find(|c: char| !matches!(c, '0'..='9' | ';' | '?'));
                let last = end.and_then(|at| params.get(at..)?.chars().next());
                let ours = "ABCDGHJKhlm";
                if !last.is_some_and(|c| ours.contains(c)) {
                    return Some(here.chars().take(40).collect());
                }
                rest = end.and_then(|at| params.get(at + 1..)).unwrap_or_default();
            }
            c if turno_core::unseen::is_unseen(c) => return Some(here.chars().take(40).collect()),
            _ => {}
        }
    }
    None
}

/// A line without paint and moves.
pub(super) fn bare(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(part.len(), |at| at + 1);
        told.push_str(part.get(end..).unwrap_or_default());
    }
    told
}

#[test]
fn what_a_terminal_heeds_is_found() {
    for (name, trick) in TRICKS
        .iter()
        .filter(|(_, t)| t.contains(|c: char| c.is_control()))
    {
        // A colour, concealment and moves are told from ours by their text alone.
        let by_text = ["a colour", "concealment", "a cleared screen", "another screen"].contains(name);
        assert_eq!(stray(&format!("x {trick} y")).is_none(), by_text, "{name}");
    }
    assert_eq!(stray("\u{1b}[1mours\u{1b}[0m \u{1b}[?25l\u{1b}[2K\r\n"), None);
    assert_eq!(bare("\u{1b}[2m\u{1b}[1Kforged"), "forged");
}
