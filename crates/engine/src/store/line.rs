//! Owns how a record lies in a line: `LENGTH CRC32C GROUP JSON`, where GROUP is the number of the first record that
//! was written together with it, and length and sum are those of what follows them.
//!
//! The group tells a torn end from damage: what was written together may be lost in any part, but a group was begun
//! only after the one before it was on disk. Format 1 had no group.

use turno_core::ids::Seq;
use turno_core::record::Record;

/// The first word of a segment; the number of its format follows.
const MAGIC: &str = "turno-journal";

/// What a record was written together with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// With all since this one.
    Since(Seq),
    /// Nobody knows: the line has format 1.
    Untold,
}

/// A whole line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) record: Box<Record>,
    pub(super) group: Group,
    /// The line's own sum.
    pub(super) sum: u32,
}

/// The first line of a segment.
pub(super) fn head(format: u32) -> String {
    format!("{MAGIC} {format}\n")
}

/// The format that a first line tells, if it is one.
pub(super) fn format_of(line: &[u8]) -> Option<u32> {
    let digits = line
        .strip_prefix(MAGIC.as_bytes())?
        .strip_prefix(b" ")?
        .strip_suffix(b"\n")?;
    let text = std::str::from_utf8(digits).ok()?;
    let number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // A number that is too large for any format is that of a newer one.
    number.then(|| text.parse().unwrap_or(u32::MAX))
}

/// One line as it lies on disk. Gives its sum.
pub(super) fn encode(record: &Record, group: Seq, out: &mut Vec<u8>) -> Result<u32, serde_json::Error> {
    let mut told = format!("{group} ").into_bytes();
    serde_json::to_writer(&mut told, record)?;
    let sum = crc32c::crc32c(&told);
    out.extend_from_slice(format!("{} {sum:08x} ", told.len()).as_bytes());
    out.append(&mut told);
    out.push(b'\n');
    Ok(sum)
}

/// Reads a line of any format. What is wrong with it, in words, if it is not whole.
pub(super) fn decode(line: &[u8]) -> Result<Line, String> {
    let line = line.strip_suffix(b"\n").ok_or("the line has no end")?;
    let mut parts = line.splitn(3, |b| *b == b' ');
    let (Some(length), Some(sum), Some(told)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("the line is no record".to_owned());
    };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap_or_default().to_owned();
    if text(length).parse::<usize>() != Ok(told.len()) {
        return Err("the length does not match".to_owned());
    }
    let sum = u32::from_str_radix(&text(sum), 16).ok();
    let Some(sum) = sum.filter(|s| *s == crc32c::crc32c(told)) else {
        return Err("the checksum does not match".to_owned());
    };
    let (group, json) = match told.first() {
        Some(b'{') => (Group::Untold, told),
        _ => {
            let mut parts = told.splitn(2, |b| *b == b' ');
            let first = parts.next().map(text).and_then(|n| n.parse().ok());
            let (Some(first), Some(json)) = (first, parts.next()) else {
                return Err("the line tells no group".to_owned());
            };
            (Group::Since(Seq(first)), json)
        }
    };
    match serde_json::from_slice(json) {
        Ok(record) => Ok(Line { record, group, sum }),
        Err(error) => Err(format!("the record cannot be read: {error}")),
    }
}
