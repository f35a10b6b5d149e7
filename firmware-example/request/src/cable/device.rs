//! The device's end of the line.

use super::{Deframer, FRAME_BYTES, Frame, Greeting, PART_BYTES, Part, Program, VERSION};

/// A serial line's end.
pub trait Wire {
    /// The next byte, if one has come.
    fn read(&mut self) -> Option<u8>;

    /// Sends bytes, and waits for room where there is none.
    fn write(&mut self, bytes: &[u8]);
}

impl<W: Wire + ?Sized> Wire for &mut W {
    fn read(&mut self) -> Option<u8> {
        (**self).read()
    }

    fn write(&mut self, bytes: &[u8]) {
        (**self).write(bytes);
    }
}

/// The session is over: the host began another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// The device's end of the line, and its side of a session.
#[derive(Debug)]
pub struct Device<W> {
    wire: W,
    deframer: Deframer,
    board: &'static str,
    model_crc32: Option<u32>,
    room: u32,
    /// The session under way, or the last.
    session: Option<u32>,
    /// One that the host asked for in the meantime.
    next: Option<(u32, Program)>,
    input: Input,
    output: Output,
}

/// The host's stream.
#[derive(Debug)]
struct Input {
    bytes: [u8; PART_BYTES],
    /// Of the bytes, those that the program has not read.
    unread: (usize, usize),
    taken: u32,
    is_ended: bool,
}

/// The device's stream.
#[derive(Debug)]
struct Output {
    /// What the host has not confirmed.
    bytes: [u8; PART_BYTES],
    len: usize,
    /// The first byte's offset.
    at: u32,
    is_last: bool,
    /// Whether there is something that was never sent.
    is_new: bool,
}

impl<W: Wire> Device<W> {
    /// A device that says this of itself: the board's name, the CRC-32 of its model's blob, and bytes of a request.
    pub const fn new(wire: W, board: &'static str, model_crc32: Option<u32>, room: u32) -> Self {
        let (deframer, input, output) = (Deframer::new(), Input::NEW, Output::NEW);
        Self { wire, deframer, board, model_crc32, room, session: None, next: None, input, output }
    }

    /// Waits for the host to begin a session, and says what it is to be. What was printed in the one before, and has not
    /// arrived, is sent until then.
    pub fn accept(&mut self) -> Program {
        loop {
            if let Some((session, program)) = self.next.take() {
                self.session = Some(session);
                (self.input, self.output) = (Input::NEW, Output::NEW);
                return program;
            }
            self.listen();
        }
    }

    /// Waits for the next byte of the host's stream; `None` behind its end.
    ///
    /// # Errors
    /// The session is over.
    pub fn read(&mut self) -> Result<Option<u8>, Closed> {
        self.flush()?;
        loop {
            if let Some(byte) = self.input.read() {
                return Ok(Some(byte));
            }
            if self.input.is_ended {
                return Ok(None);
            }
            self.listen_on()?;
        }
    }

    /// Prints bytes. They are sent by the next line's end, [`Device::flush`] or [`Device::read`], or earlier.
    ///
    /// # Errors
    /// The session is over.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        let mut rest = self.output.write(bytes);
        while !rest.is_empty() {
            self.flush()?;
            rest = self.output.write(rest);
        }
        if bytes.contains(&b'\n') { self.flush() } else { Ok(()) }
    }

    /// Sends what was printed and not sent yet.
    ///
    /// # Errors
    /// The session is over.
    pub fn flush(&mut self) -> Result<(), Closed> {
        self.listen_on()?;
        if self.output.is_new {
            self.send_part();
        }
        Ok(())
    }

    /// Ends what the device prints in this session.
    pub fn end(&mut self) {
        self.output.is_last = true;
        self.send_part();
    }

    /// Serves what has come, as long as the session goes on.
    fn listen_on(&mut self) -> Result<(), Closed> {
        self.listen();
        if self.next.is_some() { Err(Closed) } else { Ok(()) }
    }

    fn listen(&mut self) {
        while let Some(byte) = self.wire.read() {
            let Self { deframer, session, next, input, output, .. } = self;
            let known = |number| *session == Some(number) || next.is_some_and(|(next, _)| next == number);
            match deframer.push(byte) {
                Some(Frame::Open { session: number, program, version }) => {
                    if version == VERSION && !known(number) {
                        *next = Some((number, program));
                    }
                    self.greet(number);
                }
                Some(Frame::FromHost(part)) if *session == Some(part.session) && next.is_none() => {
                    output.confirm(part.taken);
                    input.take(&part);
                    self.send_part();
                }
                Some(Frame::FromHost(part)) if !known(part.session) => {
                    let session = part.session;
                    self.send(&Frame::Unknown { session });
                }
                _ => {}
            }
        }
    }

    fn greet(&mut self, session: u32) {
        let &mut Self { board, model_crc32, room, .. } = self;
        self.send(&Frame::Greeting(Greeting { version: VERSION, session, board, model_crc32, room }));
    }

    fn send_part(&mut self) {
        let Some(session) = self.session else { return };
        let Output { len, at, is_last, .. } = self.output;
        let mut out = [0; FRAME_BYTES];
        let bytes = self.output.bytes.get(..len).unwrap_or_default();
        let part = Part { session, taken: self.input.taken, at, is_last, bytes };
        if let Some(bytes) = Frame::FromDevice(part).encode(&mut out) {
            self.wire.write(bytes);
        }
        self.output.is_new = false;
    }

    fn send(&mut self, frame: &Frame<'_>) {
        let mut out = [0; FRAME_BYTES];
        if let Some(bytes) = frame.encode(&mut out) {
            self.wire.write(bytes);
        }
    }
}

impl Input {
    const NEW: Self = Self { bytes: [0; _], unread: (0, 0), taken: 0, is_ended: false };

    fn read(&mut self) -> Option<u8> {
        let (first, end) = self.unread;
        let byte = *self.bytes.get(first..end)?.first()?;
        self.unread = (first + 1, end);
        Some(byte)
    }

    /// Takes a part that goes on where the stream is, if there is room: it comes again otherwise.
    fn take(&mut self, part: &Part<'_>) {
        let is_read = self.unread.0 == self.unread.1;
        let Some(place) = self.bytes.get_mut(..part.bytes.len()) else { return };
        if part.at != self.taken || !is_read || self.is_ended {
            return;
        }
        place.copy_from_slice(part.bytes);
        self.unread = (0, part.bytes.len());
        self.taken = self.taken.wrapping_add(part.bytes.len() as u32);
        self.is_ended = part.is_last;
    }
}

impl Output {
    const NEW: Self = Self { bytes: [0; _], len: 0, at: 0, is_last: false, is_new: false };

    /// Adds what there is room for, and returns the rest.
    fn write<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let n = room.len().min(bytes.len());
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.len += n;
        self.is_new |= n > 0;
        bytes.get(n..).unwrap_or_default()
    }

    /// Forgets what the host has: `taken` bytes of the whole stream.
    fn confirm(&mut self, taken: u32) {
        let n = taken.wrapping_sub(self.at) as usize;
        let Some(held) = self.bytes.get_mut(..self.len) else { return };
        // More than is held is from before.
        if n <= held.len() {
            held.rotate_left(n);
            self.len -= n;
            self.at = taken;
        }
    }
}
