//! Owns how text from outside is made harmless for a page, whatever a template does with it: what a reader would not
//! see is shown, and no text is longer than a browser can lay out.

use serde_json::Value;
use turno_core::unseen::{Heap, is_unseen};

/// No text of a page is longer, in characters.
const TEXT: usize = 200_000;
/// No line of it is longer, in characters.
const LINE: usize = 4_000;

/// Whether a character is shown as its number. Line ends and tabs are what they are.
fn is_shown_by_number(c: char) -> bool {
    is_unseen(c) && !matches!(c, '\n' | '\t')
}

/// The text with what is not seen shown as its number, and cut where it is too long.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(TEXT));
    let (mut of_line, mut of_text, mut heap) = (0usize, 0usize, Heap::default());
    for c in text.chars().filter(|c| !heap.is_too_high(*c)) {
        if of_text == TEXT {
            shown.push_str(" … (the rest is not shown here)");
            break;
        }
        of_text += 1;
        if c == '\n' {
            of_line = 0;
            shown.push(c);
            continue;
        }
        of_line += 1;
        match of_line {
            0..=LINE if is_shown_by_number(c) => shown.push_str(&format!("⟨{:X}⟩", u32::from(c))),
            0..=LINE => shown.push(c),
            n if n == LINE + 1 => shown.push_str(" … (cut)"),
            _ => {}
        }
    }
    shown
}

/// The same for every text in a value.
pub(super) fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LINE || !text.is_ascii() || text.contains(is_shown_by_number) => {
            *text = plain(text);
        }
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown_and_what_is_read_stays() {
        assert_eq!(
            plain("\u{1b}[31mred \u{202e}txt.exe\u{200b}\0"),
            "⟨1B⟩[31mred ⟨202E⟩txt.exe⟨200B⟩⟨0⟩"
        );
        let kept = "a\n\tb שלום \u{1f468}\u{200d}\u{1f469} é";
        assert_eq!(plain(kept), kept);
    }

    #[test]
    fn no_line_and_no_text_is_longer_than_a_browser_lays_out() {
        let line = plain(&"x".repeat(10 << 20));
        assert!(line.len() < LINE + 50, "{}", line.len());
        assert!(line.ends_with("(the rest is not shown here)"), "{line}");
        let text = plain(&"x\n".repeat(1 << 20));
        assert!(text.len() < TEXT + 50, "{}", text.len());
    }

    #[test]
    fn every_text_in_a_value_is_reached() {
        let mut value = serde_json::json!({"a": ["\u{7}", {"b": "\u{202e}"}], "n": 1});
        clean(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["⟨7⟩", {"b": "⟨202E⟩"}], "n": 1}));
    }
}
