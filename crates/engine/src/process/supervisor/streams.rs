//! Owns what the program says on its two output streams: it is moved into files, without secrets, before anybody reads
//! it, and up to the cap.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use super::super::paper::End;
use super::Supervisor;
use crate::redact::Redactor;

/// How often a stream is read before everything else is looked at again: a flood must not outrun the limits.
const READS: usize = 16;

/// One of the two output streams.
pub(super) struct Pump<R> {
    pub(super) from: Option<R>,
    pub(super) to: File,
    pub(super) redactor: Redactor,
}

#[derive(Clone, Copy)]
pub(super) enum Stream {
    Out,
    Err,
}

/// What a read of a stream gave.
enum Got {
    Bytes,
    Later,
    End,
}

impl Supervisor {
    /// Moves some of what was said into the files, without secrets, before anybody reads it. True when there was
    /// something.
    pub(super) fn pump(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let out = self.pump_one(Stream::Out, &mut buffer);
        let err = self.pump_one(Stream::Err, &mut buffer);
        self.buffer = buffer;
        out || err
    }

    fn pump_one(&mut self, stream: Stream, buffer: &mut [u8]) -> bool {
        let mut any = false;
        for _ in 0..READS {
            match self.move_some(stream, buffer) {
                Ok(Got::Bytes) => any = true,
                Ok(Got::Later | Got::End) => break,
                Err(error) => {
                    self.stop_as(End::TranscriptFailed(error.to_string()));
                    break;
                }
            }
        }
        any
    }

    fn move_some(&mut self, stream: Stream, buffer: &mut [u8]) -> std::io::Result<Got> {
        let read = match stream {
            Stream::Out => self.out.from.as_mut().map(|f| f.read(buffer)),
            Stream::Err => self.err.from.as_mut().map(|f| f.read(buffer)),
        };
        let count = match read {
            None => return Ok(Got::End),
            Some(Ok(0)) => {
                match stream {
                    Stream::Out => self.out.from = None,
                    Stream::Err => self.err.from = None,
                }
                self.write_down(stream, None)?;
                return Ok(Got::End);
            }
            Some(Ok(count)) => count,
            Some(Err(e)) if e.kind() == ErrorKind::WouldBlock => return Ok(Got::Later),
            Some(Err(e)) if e.kind() == ErrorKind::Interrupted => return Ok(Got::Bytes),
            Some(Err(e)) => return Err(e),
        };
        if self.kept >= self.orders.output_cap {
            self.stop_as(End::TooMuchOutput);
            return Ok(Got::Bytes);
        }
        self.kept += count as u64;
        self.write_down(stream, buffer.get(..count))?;
        Ok(Got::Bytes)
    }

    /// Writes a piece down without the secrets in it; none is the end of the stream, and what was held back.
    pub(super) fn write_down(&mut self, stream: Stream, piece: Option<&[u8]>) -> std::io::Result<()> {
        if matches!(self.verdict, Some(End::TranscriptFailed(_))) {
            return Ok(());
        }
        let (redactor, to) = match stream {
            Stream::Out => (&mut self.out.redactor, &mut self.out.to),
            Stream::Err => (&mut self.err.redactor, &mut self.err.to),
        };
        self.clean.clear();
        match piece {
            Some(bytes) => redactor.chunk(bytes, &mut self.clean),
            None => redactor.finish(&mut self.clean),
        }
        to.write_all(&self.clean)?;
        if let Stream::Out = stream {
            self.written += self.clean.len() as u64;
            self.line.ring();
        }
        Ok(())
    }
}
