//! A serial port of this machine.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::time::Duration;

use emberlm_request::cable::{FRAME_BYTES, Program};
use serial2::SerialPort;

use super::CableError;
use super::session::{About, Line, Patience, Session};

/// A board's port, and what it is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Port<'a> {
    /// The port's path, or its name.
    pub path: &'a Path,
    /// Bits a second.
    pub baud: u32,
    /// The CRC-32 of the model's blob in 8 hex digits, where it is to be a certain one.
    pub model_crc32: Option<&'a str>,
}

/// How long a board may take to answer at all: one that is reset as the port is opened has to start.
const ANSWER: Duration = Duration::from_secs(6);

/// What a system or an adapter adds to the way of a frame and its answer.
const SHORTEST: Duration = Duration::from_millis(40);

/// Soon enough for a person that waits, and seldom enough for a board that computes.
const LONGEST: Duration = Duration::from_millis(600);

/// How long a full port is waited for.
const ROOM: Duration = Duration::from_millis(100);

impl Port<'_> {
    /// Begins a session, in which the board is to run `program`.
    ///
    /// # Errors
    /// There is no such port, nobody answers, or a board that holds another model.
    pub(super) fn open(&self, program: Program) -> std::result::Result<(Session<impl Line>, About), CableError> {
        let number = RandomState::new().hash_one(std::process::id()) as u32;
        let (session, about) = Session::open(self.line()?, self.patience(), number, program, ANSWER)?;
        let have = about.model_crc32.map(|crc| format!("{crc:08x}"));
        match (have, self.model_crc32) {
            (Some(have), Some(need)) if have != need => Err(CableError::OtherModel { have, need: need.into() }),
            // A board without a model says itself what is wrong.
            _ => Ok((session, about)),
        }
    }

    fn line(&self) -> std::result::Result<SerialPort, CableError> {
        match fs::metadata(self.path) {
            Ok(found) if found.is_file() => return Err(CableError::NoPort("a regular file")),
            Ok(found) if found.is_dir() => return Err(CableError::NoPort("a folder")),
            // On some systems ports have names and no files.
            _ => {}
        }
        let port = SerialPort::open(self.path, self.baud).and_then(|mut port| {
            port.set_write_timeout(ROOM)?;
            // What came before is none of this session's.
            port.discard_buffers()?;
            Ok(port)
        });
        port.map_err(CableError::Open)
    }

    fn patience(&self) -> Patience {
        // A start bit, eight bits and a stop bit, there and back.
        let bits = 10 * 2 * FRAME_BYTES as u64;
        let shortest = SHORTEST + Duration::from_micros(bits * 1_000_000 / u64::from(self.baud.max(1)));
        Patience { shortest, longest: LONGEST.max(shortest) }
    }
}

impl Line for SerialPort {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.write_all(bytes) {
            // A board that does not listen: what is there of the frame is no frame, and it comes again.
            Err(error) if is_pause(&error) => Ok(()),
            sent => sent,
        }
    }

    fn receive(&mut self, into: &mut [u8], limit: Duration) -> Result<usize> {
        // The system counts milliseconds, and takes none for no limit.
        self.set_read_timeout(limit.max(Duration::from_millis(1)))?;
        match self.read(into) {
            Ok(0) => Err(Error::from(ErrorKind::UnexpectedEof)),
            Err(error) if is_pause(&error) => Ok(0),
            read => read,
        }
    }
}

fn is_pause(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock)
}
