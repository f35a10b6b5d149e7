//! What goes over the line at a time.

use core::mem;

use cobs::{DecodeResult, DecoderState};
use emberlm_core::crc::crc32;
use serde::{Deserialize, Serialize};

/// The version of what frames hold. [`Frame::Open`] and [`Frame::Greeting`] are the same in all.
pub const VERSION: u8 = 1;

/// Bytes of a stream in one frame, at most.
pub const PART_BYTES: usize = 128;

/// Bytes of a board's name, at most.
pub const BOARD_BYTES: usize = 64;

/// The longest message, which is one with a part: its kind, four numbers, a flag, and the bytes with their length.
const MESSAGE_BYTES: usize = 1 + 3 * 5 + 1 + 2 + PART_BYTES;

/// With the checksum.
const CHECKED_BYTES: usize = MESSAGE_BYTES + size_of::<u32>();

/// The longest frame: COBS adds a byte, and a byte of 0 stands before and behind. COBS would add another from here on.
pub const FRAME_BYTES: usize = 1 + 1 + CHECKED_BYTES + 1;
const _: () = assert!(CHECKED_BYTES < 254);

/// What goes over the line at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame<'f> {
    /// The host begins a session, and so ends the one before.
    Open {
        /// [`VERSION`].
        version: u8,
        /// The session's number.
        session: u32,
        /// What the device is to run.
        program: Program,
    },
    /// The device answers [`Frame::Open`].
    #[serde(borrow)]
    Greeting(Greeting<'f>),
    /// What the host types.
    FromHost(Part<'f>),
    /// What the device prints.
    FromDevice(Part<'f>),
    /// The device knows no session of that number.
    Unknown {
        /// The number that it was asked by.
        session: u32,
    },
}

/// What a device runs in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// Scores the request that the host sends.
    Score,
    /// Reads prompts, a line each, and writes what follows each of them.
    Console,
}

/// What a device says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting<'f> {
    /// [`VERSION`] of the device.
    pub version: u8,
    /// The session's number.
    pub session: u32,
    /// The board's name, at most [`BOARD_BYTES`] long.
    pub board: &'f str,
    /// The CRC-32 that tells the model's blob from others; `None` where there is no model that can be opened.
    pub model_crc32: Option<u32>,
    /// Bytes of a request, at most.
    pub room: u32,
}

/// A piece of a session's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<'f> {
    /// The session's number.
    pub session: u32,
    /// Bytes that the sender has of the other's stream, modulo 2^32.
    pub taken: u32,
    /// The first byte's offset in the sender's stream, modulo 2^32.
    pub at: u32,
    /// Whether the stream ends behind these bytes.
    pub is_last: bool,
    /// The bytes, at most [`PART_BYTES`].
    pub bytes: &'f [u8],
}

impl Frame<'_> {
    /// The frame's bytes, in `out`; `None` for one that is too long.
    pub fn encode<'o>(&self, out: &'o mut [u8; FRAME_BYTES]) -> Option<&'o [u8]> {
        let mut checked = [0; CHECKED_BYTES];
        let message = postcard::to_slice(self, checked.first_chunk_mut::<MESSAGE_BYTES>()?).ok()?;
        let (len, crc) = (message.len(), crc32(message));
        checked.get_mut(len..)?.first_chunk_mut().map(|place| *place = crc.to_le_bytes())?;
        let source = checked.get(..len + size_of::<u32>())?;
        let (first, rest) = out.split_first_mut()?;
        *first = 0;
        let len = cobs::try_encode(source, rest).ok()?;
        *rest.get_mut(len)? = 0;
        out.get(..len + 2)
    }
}

/// Finds frames among the bytes that come.
#[derive(Debug)]
pub struct Deframer {
    decoder: DecoderState,
    bytes: [u8; CHECKED_BYTES],
    /// Bytes of the frame under way, of which no more are kept than a frame may have.
    len: usize,
}

impl Deframer {
    /// Nothing has come.
    pub const fn new() -> Self {
        Self { decoder: DecoderState::Idle, bytes: [0; _], len: 0 }
    }

    /// Takes in the next byte, and returns the frame that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Frame<'_>> {
        match self.decoder.feed(byte) {
            Ok(DecodeResult::DataContinue(byte)) => {
                if let Some(place) = self.bytes.get_mut(self.len) {
                    *place = byte;
                }
                self.len = self.len.saturating_add(1);
                None
            }
            Ok(DecodeResult::NoData) => None,
            Ok(DecodeResult::DataComplete) => decode(self.bytes.get(..mem::take(&mut self.len))?),
            Err(_) => {
                self.len = 0;
                None
            }
        }
    }
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let (message, crc) = bytes.split_last_chunk()?;
    if crc32(message) != u32::from_le_bytes(*crc) {
        return None;
    }
    match postcard::take_from_bytes(message) {
        Ok((frame, [])) => Some(frame),
        _ => None,
    }
}
