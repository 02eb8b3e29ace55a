//! The bytes of a journal's last segment. Either they are named as damaged, and nothing is changed; or what is read
//! is the whole beginning, what was torn off lies beside it byte for byte, and opening it again finds the same.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use turno_engine::probe::records;
use turno_engine::store::{Error, FORMAT, Journal};

const SEGMENT: &str = "0000000000000001.log";

/// Whatever was set aside, in one piece: the journal has one segment.
fn aside(dir: &Path) -> Vec<u8> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("its directory") {
        let entry = entry.expect("an entry");
        if entry.file_name().to_string_lossy().starts_with("torn-") {
            found.extend(fs::read(entry.path()).expect("what was set aside"));
        }
    }
    found
}

/// Writes lengths and checksums anew where the first byte asks for it, so that not every change is caught by them.
fn framed(format: u32, data: &[u8]) -> Vec<u8> {
    let mut out = format!("turno-journal {format}\n").into_bytes();
    for line in data.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        out.extend(format!("{} {:08x} ", line.len(), crc32c::crc32c(line)).as_bytes());
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let Some((form, rest)) = data.split_first() else {
        return;
    };
    let bytes = match form % 4 {
        1 => framed(1, rest),
        3 => framed(FORMAT, rest),
        _ => rest.to_vec(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(SEGMENT);
    fs::write(&path, &bytes).expect("a segment");
    match Journal::open_alone(dir.path()) {
        Ok(journal) => {
            drop(journal);
            let kept = fs::read(&path).expect("the segment");
            let torn = aside(dir.path());
            // A segment without a whole head is begun again.
            if kept.len() + torn.len() == bytes.len() {
                // One of an older format of which no record is left gets the head of today's.
                let renewed = kept == format!("turno-journal {FORMAT}\n").into_bytes();
                assert!(renewed || bytes.starts_with(&kept));
                assert!(bytes.ends_with(&torn));
            } else {
                assert_eq!(torn, bytes);
            }
            let read = records(dir.path()).expect("what could be opened can be read");
            for (record, number) in read.iter().zip(1..) {
                assert_eq!(record.seq.0, number);
                let written = serde_json::to_string(record).expect("a record can be written");
                assert_eq!(
                    &serde_json::from_str::<turno_core::record::Record>(&written).expect("and read"),
                    record
                );
            }
            drop(Journal::open_alone(dir.path()).expect("it opens again"));
            assert_eq!(fs::read(&path).expect("the segment"), kept);
            assert_eq!(records(dir.path()).expect("the records"), read);
        }
        Err(Error::Damaged(damage)) => {
            assert!(!damage.why.is_empty() && !damage.records().is_empty());
            assert!(damage.offset + damage.bytes <= bytes.len() as u64, "{damage:?}");
            assert_eq!(
                fs::read(&path).expect("the segment"),
                bytes,
                "nothing was changed"
            );
        }
        Err(Error::Newer { found, .. }) => assert!(found > FORMAT),
        Err(error @ (Error::Io { .. } | Error::Absent { .. } | Error::Failed { .. })) => panic!("{error}"),
    }
});
