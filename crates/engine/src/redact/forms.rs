//! Owns the forms in which a value may turn up: as it is, escaped in JSON, in base64, in hexadecimal, in an
//! address. It must not search for them.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A shorter value is a word that may stand anywhere.
pub(super) const SHORTEST: usize = 8;
/// A shorter line of a value of many is not looked for by itself.
const SHORTEST_LINE: usize = 16;
/// What an address leaves as it is, besides letters and digits.
const IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Every form of a value, each once. None of a value that is too short.
pub(super) fn of(value: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    if value.len() >= SHORTEST {
        all_of(value, &mut forms);
    }
    // A file of many lines may be said line by line.
    for line in value.lines().map(str::trim) {
        if value.trim() != line && line.len() >= SHORTEST_LINE && !line.starts_with("-----") {
            all_of(line, &mut forms);
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn all_of(value: &str, forms: &mut Vec<Vec<u8>>) {
    let mut add = |form: String| forms.push(form.into_bytes());
    add(value.to_owned());
    let escaped = in_json(value);
    // A message may hold JSON in JSON.
    add(in_json(&escaped));
    add(escaped);
    let address = utf8_percent_encode(value, IN_ADDRESS).to_string();
    add(lower_percent(&address));
    add(address);
    let all = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    add(lower_percent(&all));
    add(all);
    let hexadecimal: String = value.bytes().map(|b| format!("{b:02x}")).collect();
    add(hexadecimal.to_uppercase());
    add(hexadecimal);
    for before in 0..3 {
        let core = base64_core(value.as_bytes(), before, &BASE64_STANDARD_NO_PAD);
        // In JSON a slash may be escaped.
        add(core.replace('/', "\\/"));
        add(core);
        add(base64_core(value.as_bytes(), before, &BASE64_URL_SAFE_NO_PAD));
    }
}

/// What base64 makes of a value behind so many other bytes, without the characters that depend on its
/// neighbours. So `user:PASSWORD` is found too.
fn base64_core(value: &[u8], before: usize, base64: &impl Engine) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value);
    let text = base64.encode(&bytes);
    let first = (before * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    text.get(first..last).unwrap_or_default().to_owned()
}

fn in_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|q| q.strip_suffix('"'))
        .unwrap_or(value)
        .to_owned()
}

/// The same with the digits of `%2F` in lower case.
fn lower_percent(address: &str) -> String {
    let mut lower = String::with_capacity(address.len());
    for (i, part) in address.split('%').enumerate() {
        match part.split_at_checked(2) {
            Some((digits, rest)) if i > 0 => {
                lower.push('%');
                lower.push_str(&digits.to_lowercase());
                lower.push_str(rest);
            }
            Some(_) | None => lower.push_str(part),
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_behind_anything() {
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "x", "\n", "and more"] {
                let text = BASE64_STANDARD_NO_PAD.encode(format!("{before}s3cr3t/+value{after}"));
                let found = of("s3cr3t/+value")
                    .iter()
                    .any(|form| memchr::memmem::find(text.as_bytes(), form).is_some());
                assert!(found, "{before} {after} {text}");
            }
        }
    }

    #[test]
    fn a_word_has_no_forms() {
        assert_eq!(of("seven77"), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn an_address_and_json_have_their_own() {
        let forms = of("a/b\"c d\\e");
        for form in ["a%2Fb%22c%20d%5Ce", "a%2fb%22c%20d%5ce", "a/b\\\"c d\\\\e"] {
            assert!(forms.contains(&form.as_bytes().to_vec()), "{form}");
        }
    }
}
