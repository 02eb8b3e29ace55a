//! Owns what a supervisor is handed through its input because it must be in no file: the values of secrets, and what
//! may hold one. The file of its orders has it without.

use std::io::{Error, ErrorKind, Read};

use serde::{Deserialize, Serialize};

use super::doorman::NetOrders;
use crate::redact::Redaction;

/// The kernel takes no longer arguments on any machine.
const LONGEST: u32 = 64 << 20;

/// What may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// The program's arguments as they really are.
    pub argv: Vec<String>,
    /// Its way to the network, if it has one of its own.
    pub net: Option<NetOrders>,
}

/// What is written into a supervisor's input before anything else.
///
/// # Errors
/// When it is too long.
pub fn frames(redaction: &Redaction, private: &Private) -> std::io::Result<Vec<u8>> {
    let mut frames = redaction.frame()?;
    let text = serde_json::to_vec(private)?;
    let length = u32::try_from(text.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the program's arguments are too long"))?;
    frames.extend(length.to_be_bytes());
    frames.extend(text);
    Ok(frames)
}

/// What was handed over. Not a byte more is taken from the pipe.
///
/// # Errors
/// When it cannot be read, or is something else.
pub(super) fn take(pipe: &mut impl Read) -> std::io::Result<(Redaction, Private)> {
    let redaction = Redaction::read_from(pipe)?;
    let mut length = [0; 4];
    pipe.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    // The words of an error could repeat what was read.
    let odd = || Error::new(ErrorKind::InvalidData, "these are no arguments of a program");
    if length > LONGEST {
        return Err(odd());
    }
    let mut text = Vec::new();
    pipe.take(u64::from(length)).read_to_end(&mut text)?;
    let private = serde_json::from_slice(&text).map_err(|_| odd())?;
    Ok((redaction, private))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_taken_and_not_a_byte_more() {
        let private = Private {
            argv: vec!["agent".to_owned(), "--key=of its own".to_owned()],
            net: None,
        };
        let mut pipe = frames(&Redaction::default(), &private).unwrap();
        pipe.extend(b"what is said then");
        let mut rest = pipe.as_slice();
        assert_eq!(take(&mut rest).unwrap().1, private);
        assert_eq!(rest, b"what is said then");
        let broken_off = &pipe[..pipe.len() - 20];
        assert!(take(&mut { broken_off }).is_err());
    }
}
