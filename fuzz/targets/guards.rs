//! The look through a change, and redaction. The first byte picks which. A file of any name and content is looked
//! through without a panic and with bounded findings; a secret that is known by its value is not in what is written
//! down, however the output was cut.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use turno_core::guard::GuardKind;
use turno_engine::probe::{change, leads_out};
use turno_engine::redact::{REDACTED, Redaction};
use turno_engine::secret::Secret;

/// As many as one kind may have, and the one that counts the rest.
const PER_KIND: usize = 26;

fn inspect(data: &[u8]) {
    let mut parts = data.splitn(3, |b| *b == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let (file, before, now) = (part(), part(), part());
    let file = String::from_utf8_lossy(file);
    let found = change(&file, before, now);
    for kind in GuardKind::ALL {
        assert!(found.iter().filter(|g| g.kind == kind).count() <= PER_KIND);
    }
    let lines = now.iter().filter(|b| **b == b'\n').count() + 1;
    for guarded in &found {
        assert!(guarded.line as usize <= lines);
        assert!(!guarded.what.is_empty());
    }
    assert!(
        !change(&file, now, now).iter().any(|g| g.line > 0),
        "nothing was added"
    );
    leads_out(&file, before);
}

/// Pieces of the rest are as long as the bytes of `cuts` say, in turn; a piece `0xff` stands for a secret.
fn redact(data: &[u8]) {
    let mut parts = data.splitn(4, |b| *b == 0xfe);
    let mut part = || parts.next().unwrap_or_default();
    let (one, two, cuts, said) = (part(), part(), part(), part());
    let values: Vec<String> = [one, two]
        .into_iter()
        .map(|value| String::from_utf8_lossy(value).into_owned())
        // What stands in the place of secrets can be put together with what is around it.
        .filter(|value| value.len() >= 8 && !value.contains(['[', ']']) && !REDACTED.contains(value.as_str()))
        .collect();
    let Some(first) = values.first() else { return };
    let mut output = Vec::new();
    for (index, piece) in said.split(|b| *b == 0xff).enumerate() {
        if index > 0 {
            output.extend_from_slice(values.get(index % 2).unwrap_or(first).as_bytes());
        }
        output.extend_from_slice(piece);
    }
    let redaction = Arc::new(Redaction::of(values.iter().map(Secret::new)));
    let gone = |clean: &[u8], how: &str| {
        for value in &values {
            assert!(
                !clean.windows(value.len()).any(|w| w == value.as_bytes()),
                "{how}: {value:?}"
            );
        }
    };
    gone(&redaction.bytes(&output), "whole");
    let mut stream = redaction.stream();
    let mut clean = Vec::new();
    let mut rest = output.as_slice();
    let mut lengths = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().map_or(1, |n| usize::from(*n) + 1).min(rest.len());
        let (piece, more) = rest.split_at(length);
        stream.chunk(piece, &mut clean);
        rest = more;
    }
    stream.finish(&mut clean);
    gone(&clean, "in pieces");
}

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((which, rest)) if which % 2 == 0 => inspect(rest),
        Some((_, rest)) => redact(rest),
        None => {}
    }
});
