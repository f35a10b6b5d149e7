//! The host's end of a serial line: it asks until it is answered.

use std::io;
use std::time::{Duration, Instant};

use emberlm_request::cable::{Deframer, FRAME_BYTES, Frame, Greeting, PART_BYTES, Part, Program, VERSION};

use super::CableError;

/// A serial line's end.
pub trait Line {
    /// Sends what there is room for, of a frame.
    ///
    /// # Errors
    /// The line is no more.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits for bytes, and says how many have come: 0 where it were none for so long.
    ///
    /// # Errors
    /// The line is no more.
    fn receive(&mut self, into: &mut [u8], limit: Duration) -> io::Result<usize>;
}

/// How long answers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until the host asks again for the first time; then twice as long each time.
    pub shortest: Duration,
    /// But no longer.
    pub longest: Duration,
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The board's name.
    pub board: String,
    /// The CRC-32 of its model's blob; `None` where there is none that can be opened.
    pub model_crc32: Option<u32>,
    /// Bytes of a request, at most.
    pub room: u64,
}

/// The host's side of a session.
#[derive(Debug)]
pub struct Session<L> {
    line: L,
    deframer: Deframer,
    patience: Patience,
    number: u32,
    streams: Streams,
    /// When to ask again, and how long after that.
    due: Instant,
    pause: Duration,
}

/// How far the host's stream and the device's are.
#[derive(Debug, Default)]
struct Streams {
    /// What the device has not confirmed of what the host types.
    typed: Vec<u8>,
    /// The first byte's offset.
    at: u32,
    /// Whether nothing comes behind it.
    is_last: bool,
    /// Bytes of the device's stream that have come.
    taken: u32,
    /// Whether that is all of it.
    is_over: bool,
}

impl<L: Line> Session<L> {
    /// Begins a session of that number, which is to be another than any before, and waits so long for the device to answer.
    ///
    /// # Errors
    /// It does not, or in another version.
    pub fn open(
        mut line: L,
        patience: Patience,
        number: u32,
        program: Program,
        limit: Duration,
    ) -> Result<(Self, About), CableError> {
        let mut deframer = Deframer::new();
        let open = Frame::Open { version: VERSION, session: number, program };
        let start = Instant::now();
        let (mut due, mut pause) = (start, patience.shortest);
        loop {
            let now = Instant::now();
            if now.duration_since(start) >= limit {
                return Err(CableError::Silent(limit));
            }
            if now >= due {
                send(&mut line, &open)?;
                (due, pause) = (now + pause, (2 * pause).min(patience.longest));
            }
            let mut about = None;
            receive(&mut line, &mut deframer, due.min(start + limit), |frame| {
                if let Frame::Greeting(greeting) = frame
                    && greeting.session == number
                {
                    about = Some(About::read(&greeting));
                }
            })?;
            if let Some(about) = about {
                let (due, pause) = (Instant::now(), patience.shortest);
                let streams = Streams::default();
                return Ok((Self { line, deframer, patience, number, streams, due, pause }, about?));
            }
        }
    }

    /// Adds to what the device is to read.
    pub fn type_in(&mut self, bytes: &[u8]) {
        self.streams.typed.extend_from_slice(bytes);
        self.due = Instant::now();
    }

    /// Nothing is added any more.
    pub fn end_typing(&mut self) {
        self.streams.is_last = true;
        self.due = Instant::now();
    }

    /// Whether the program on the device has ended, and all that it printed has come.
    pub const fn is_over(&self) -> bool {
        self.streams.is_over
    }

    /// Sends what is due and waits until `until` for something new, which `hear` hears.
    ///
    /// # Errors
    /// The line is no more, or the device began anew.
    pub fn exchange(&mut self, until: Instant, mut hear: impl FnMut(&[u8])) -> Result<(), CableError> {
        if Instant::now() >= self.due {
            self.send_part()?;
        }
        let Self { line, deframer, number, streams, due, .. } = self;
        let (mut is_new, mut is_known) = (false, true);
        receive(line, deframer, until.min(*due), |frame| match frame {
            Frame::Unknown { session } if session == *number => is_known = false,
            Frame::FromDevice(part) if part.session == *number => {
                let (is_confirmed, new) = streams.take(&part);
                is_new |= is_confirmed || !new.is_empty();
                hear(new);
            }
            _ => {}
        })?;
        if !is_known {
            return Err(CableError::BeganAnew);
        }
        if is_new {
            (self.due, self.pause) = (Instant::now(), self.patience.shortest);
            // At once, even if this is the last call: the device waits for it.
            self.send_part()?;
        }
        Ok(())
    }

    fn send_part(&mut self) -> Result<(), CableError> {
        let part = self.streams.part(self.number);
        send(&mut self.line, &Frame::FromHost(part))?;
        self.due = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(self.patience.longest);
        Ok(())
    }
}

impl Streams {
    /// What the host has to say.
    fn part(&self, session: u32) -> Part<'_> {
        let bytes = &self.typed[..self.typed.len().min(PART_BYTES)];
        let is_last = self.is_last && bytes.len() == self.typed.len();
        Part { session, taken: self.taken, at: self.at, is_last, bytes }
    }

    /// Takes what the device has to say: whether it confirms something, and which of its bytes are new.
    fn take<'p>(&mut self, part: &Part<'p>) -> (bool, &'p [u8]) {
        let confirmed = part.taken.wrapping_sub(self.at) as usize;
        let is_confirmed = (1..=self.typed.len()).contains(&confirmed);
        if is_confirmed {
            self.typed.drain(..confirmed);
            self.at = part.taken;
        }
        // `None` is a part from before, or one before which another was lost.
        let Some(new) = part.bytes.get(self.taken.wrapping_sub(part.at) as usize..) else { return (is_confirmed, &[]) };
        self.taken = self.taken.wrapping_add(new.len() as u32);
        self.is_over |= part.is_last;
        (is_confirmed, new)
    }
}

impl About {
    fn read(greeting: &Greeting<'_>) -> Result<Self, CableError> {
        let &Greeting { version, board, model_crc32, room, .. } = greeting;
        if version != VERSION {
            return Err(CableError::Version(version));
        }
        Ok(Self { board: board.into(), model_crc32, room: room.into() })
    }
}

fn send(line: &mut impl Line, frame: &Frame<'_>) -> io::Result<()> {
    let mut bytes = [0; FRAME_BYTES];
    let bytes = frame.encode(&mut bytes).ok_or(io::ErrorKind::InvalidInput)?;
    line.send(bytes)
}

/// Waits until then for bytes, and hands on the frames among them.
fn receive(
    line: &mut impl Line,
    deframer: &mut Deframer,
    until: Instant,
    mut hear: impl FnMut(Frame<'_>),
) -> io::Result<()> {
    let mut bytes = [0; 1024];
    let n = line.receive(&mut bytes, until.saturating_duration_since(Instant::now()))?;
    for &byte in &bytes[..n] {
        if let Some(frame) = deframer.push(byte) {
            hear(frame);
        }
    }
    Ok(())
}
