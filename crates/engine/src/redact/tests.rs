//! Redaction is held against planted secrets: by value and by shape, whole and cut anywhere.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::*;

const CANARY: &str = "c4nary/+value \"quoted\"\nof two lines that are long";

fn redaction() -> Arc<Redaction> {
    Arc::new(Redaction::of([
        Secret::new(CANARY),
        Secret::new("hunter2hunter2"),
    ]))
}

/// One secret of each known shape. They are put together here, so that no scanner takes this file for a leak.
fn shaped() -> Vec<String> {
    let mixed = "a1B2c3D4e5".repeat(5);
    vec![
        format!("sk-ant-api03-{mixed}-AA"),
        format!("sk-proj-{mixed}"),
        format!("sk-{mixed}"),
        format!("ghp_{}", &mixed[..36]),
        format!("gho_{}", &mixed[..36]),
        format!("github_pat_{mixed}"),
        format!("glpat-{}", &mixed[..20]),
        format!("AKIA{}", "IOSFODNN7EXAMPLE"),
        format!("AIza{}", &mixed[..35]),
        format!("xoxb-{}", "1234567890-abcdef"),
        format!("sk_live_{}", &mixed[..24]),
        format!(
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{}.{}",
            &mixed[..8],
            &mixed[..20]
        ),
        format!(
            "-----BEGIN RSA {} KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n{mixed}\n{mixed}\n-----END RSA PRIVATE KEY-----",
            "PRIVATE"
        ),
    ]
}

fn whole(text: &str) -> String {
    redaction().text(text).into_owned()
}

/// The same bytes, in two pieces cut anywhere, and byte by byte.
fn in_pieces(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let redaction = redaction();
    let run = |pieces: &[&[u8]]| {
        let (mut redactor, mut out) = (redaction.stream(), Vec::new());
        for piece in pieces {
            redactor.chunk(piece, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8(out).unwrap()
    };
    let mut seen: Vec<String> = (0..=bytes.len())
        .map(|cut| run(&[&bytes[..cut], &bytes[cut..]]))
        .collect();
    seen.push(run(&bytes.chunks(1).collect::<Vec<_>>()));
    seen
}

#[test]
fn a_value_is_taken_out_in_every_form() {
    let json = serde_json::to_string(CANARY).unwrap();
    let forms = [
        CANARY.to_owned(),
        json.clone(),
        serde_json::to_string(&json).unwrap(),
        BASE64_STANDARD.encode(CANARY),
        BASE64_STANDARD.encode(format!("user:{CANARY}")),
        "c4nary%2F%2Bvalue%20%22quoted%22%0Aof%20two%20lines%20that%20are%20long".to_owned(),
    ];
    for form in forms {
        let text = format!("before {form} after");
        let clean = whole(&text);
        assert!(clean.contains(REDACTED), "{clean}");
        for part in ["c4nary", "YzRuYXJ5", "quoted", "lines"] {
            assert!(!clean.contains(part), "{form}: {clean}");
        }
        assert!(
            clean.starts_with("before ") && clean.ends_with(" after"),
            "{clean}"
        );
        for clean in in_pieces(&text) {
            assert!(
                !clean.contains("c4nary") && !clean.contains("quoted"),
                "{form}: {clean}"
            );
        }
    }
    assert_eq!(
        whole("one line: of two lines that are long"),
        "one line: [redacted]"
    );
}

#[test]
fn every_known_shape_is_taken_out() {
    for secret in shaped() {
        for text in [
            format!("it is {secret}\nand more"),
            format!("KEY={secret}"),
            serde_json::json!({ "text": format!("first line\n{secret}\nlast line") }).to_string(),
        ] {
            let clean = whole(&text);
            assert!(clean.contains(REDACTED), "{secret}: {clean}");
            assert!(!clean.contains("B2c3D4") && !clean.contains("FODNN7"), "{clean}");
            for again in in_pieces(&text) {
                assert_eq!(again, clean, "{secret}");
            }
        }
    }
}

#[test]
fn what_stands_before_a_secret_tells_it() {
    for (text, clean) in [
        (
            "Authorization: Bearer abc123def\n",
            "Authorization: Bearer [redacted]\n",
        ),
        (
            r#"{"authorization":"Basic dTpwYXNz1w=="}"#,
            r#"{"authorization":"Basic [redacted]"}"#,
        ),
        (
            r#"\"X-Api-Key\": \"k3y-of-some-length\""#,
            r#"\"X-Api-Key\": \"[redacted]\""#,
        ),
        (
            "postgres://user:pass,word@db/x",
            "postgres://user:[redacted]@db/x",
        ),
    ] {
        assert_eq!(whole(text), clean);
        for again in in_pieces(text) {
            assert_eq!(again, clean);
        }
    }
}

#[test]
fn nothing_else_is_touched_or_held_back() {
    let text = "plain \u{e4}\u{1f600} text, 50% .......\r\n{\"a\": [1, 2]}\n";
    assert_eq!(whole(text), text);
    for clean in in_pieces(text) {
        assert_eq!(clean, text);
    }
    let (mut redactor, mut out) = (redaction().stream(), Vec::new());
    redactor.chunk(b"working ......", &mut out);
    assert_eq!(out, b"working ......", "a sign of life is written at once");
    let noise: Vec<u8> = (0..=255).collect();
    assert_eq!(redaction().bytes(&noise), noise.as_slice());
}

#[test]
fn what_is_held_back_is_bounded() {
    let (mut redactor, mut out) = (redaction().stream(), Vec::new());
    let mut fed = 0;
    for _ in 0..64 {
        redactor.chunk(&[b'a'; 4096], &mut out);
        fed += 4096;
        assert!(fed - out.len() <= 2 * 32 * 1024, "{fed} {}", out.len());
    }
    // And a value in the middle of it is still caught.
    redactor.chunk(b"hunter2", &mut out);
    redactor.chunk(b"hunter2", &mut out);
    redactor.finish(&mut out);
    assert!(out.ends_with(REDACTED.as_bytes()));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Yes,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
    more: Vec<String>,
    word: Word,
}

#[test]
fn a_record_keeps_its_shape() {
    let note = |text: &str, more: &str| Note {
        text: text.to_owned(),
        more: vec![more.to_owned()],
        word: Word::Yes,
    };
    let clean = redaction().record(note("fine", "it is hunter2hunter2!")).unwrap();
    assert_eq!(clean, note("fine", "it is [redacted]!"));
    let names = Arc::new(Redaction::of([Secret::new("rec-yes-word")]));
    #[derive(Debug, Serialize, Deserialize)]
    enum Named {
        #[serde(rename = "rec-yes-word")]
        It,
    }
    let unfit = names.record(Named::It).unwrap_err().to_string();
    assert!(
        unfit.contains("also a name that Turno needs") && !unfit.contains("rec-yes"),
        "{unfit}"
    );
}

#[test]
fn values_pass_through_a_pipe_and_nothing_more_is_taken() {
    let mut pipe = redaction().frame().unwrap();
    pipe.extend_from_slice(b"for the program");
    let mut pipe = pipe.as_slice();
    let read = Redaction::read_from(&mut pipe).unwrap();
    assert_eq!(pipe, b"for the program");
    assert_eq!(read.text("hunter2hunter2"), REDACTED);
    assert_eq!(format!("{read:?}"), "Redaction of 2 values");
    for wrong in [
        &b""[..],
        b"\0\0",
        b"\0\0\0\x09[\"a\"]",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}",
    ] {
        assert!(Redaction::read_from(&mut { wrong }).is_err(), "{wrong:?}");
    }
}
