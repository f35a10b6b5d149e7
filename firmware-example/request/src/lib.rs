//! What host and device say to each other: the request, the [`report`] that answers it, and the [`cable`] that takes both.
//!
//! A request is what a host asks a device to score.
//! The host lays it into a memory region (an emulator's loader, a debugger, a flash partition), the device reads it in place.
//! Integers are little-endian; nothing is aligned.
//!
//! | bytes | holds |
//! |---|---|
//! | 0..4 | [`MAGIC`] |
//! | 4..6 | [`VERSION`], u16 |
//! | 6..8 | length H of the header, u16 |
//! | 8..12 | length of the body, u32: everything after byte 16 |
//! | 12..16 | CRC-32 of bytes 0..12 followed by the body |
//! | 16..16+H | [`Header`], a postcard message |
//! | … | the length of each row, u32 |
//! | … | the ids of all rows, one after another, [`IdWidth`] bytes each |
//!
//! A region is usually longer than the request in it; what follows the body is not looked at.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "cable")]
pub mod cable;
mod decode;
mod encode;
mod error;
mod header;
pub mod report;

pub use decode::{Request, Row};
pub use encode::{encode, encoded_len};
pub use error::RequestError;
pub use header::{Header, IdWidth};

/// The first bytes of every request.
pub const MAGIC: [u8; 4] = *b"ELRQ";

/// The version of this layout.
pub const VERSION: u16 = 2;

/// Bytes ahead of the header.
const PREAMBLE_BYTES: usize = 16;

/// Bytes that the checksum stands behind: the preamble without it.
const CHECKED_BYTES: usize = 12;
