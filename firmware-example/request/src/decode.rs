//! Bytes to a request.

use emberlm_core::config::TokenId;
use emberlm_core::crc::Crc32;

use crate::header::StoredHeader;
use crate::{CHECKED_BYTES, Header, IdWidth, MAGIC, PREAMBLE_BYTES, RequestError, VERSION};

/// A request that has been checked, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    header: Header,
    width: IdWidth,
    /// (rows), u32 each
    lengths: &'a [u8],
    /// (sum of lengths), `width` bytes each
    ids: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads the request at the front of `memory`.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it: after `Ok`, every row can be read.
    #[inline(never)] // What it takes of the stack is free again when the rows are scored.
    pub fn decode(memory: &'a [u8]) -> Result<Self, RequestError> {
        let truncated = |need| RequestError::Truncated { need, have: memory.len() };
        let preamble: &[u8; PREAMBLE_BYTES] = memory.first_chunk().ok_or(truncated(PREAMBLE_BYTES))?;
        let half = |at: usize| u16::from_le_bytes([preamble[at], preamble[at + 1]]);
        let word = |at: usize| u32_at(&preamble[at..]);
        if preamble[..4] != MAGIC {
            return Err(RequestError::BadMagic);
        }
        if half(4) != VERSION {
            return Err(RequestError::OtherVersion(half(4)));
        }
        let body_len = usize::try_from(word(8)).map_err(|_| RequestError::TooLarge)?;
        let need = body_len.checked_add(PREAMBLE_BYTES).ok_or(RequestError::TooLarge)?;
        let body = memory.get(PREAMBLE_BYTES..need).ok_or(truncated(need))?;

        let mut crc = Crc32::new();
        crc.update(&preamble[..CHECKED_BYTES]);
        crc.update(body);
        let (stored, computed) = (word(CHECKED_BYTES), crc.finish());
        if stored != computed {
            return Err(RequestError::BadChecksum { stored, computed });
        }

        let (message, rest) = body.split_at_checked(usize::from(half(6))).ok_or(RequestError::BadLengths)?;
        let stored: StoredHeader = match postcard::take_from_bytes(message) {
            Ok((stored, [])) => stored,
            _ => return Err(RequestError::BadHeader),
        };
        let lengths_bytes = bytes_of(stored.n_rows, size_of::<u32>())?;
        let (lengths, ids) = rest.split_at_checked(lengths_bytes).ok_or(RequestError::BadLengths)?;
        let sum = lengths.chunks_exact(size_of::<u32>()).try_fold(0_u32, |sum, row| sum.checked_add(u32_at(row)));
        if sum != Some(stored.n_ids) || ids.len() != bytes_of(stored.n_ids, stored.width.bytes())? {
            return Err(RequestError::BadLengths);
        }
        Ok(Self { header: stored.header()?, width: stored.width, lengths, ids })
    }

    /// How to score the rows.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The rows, in the order in which they are scored.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let (width, mut ids) = (self.width, self.ids);
        self.lengths.chunks_exact(size_of::<u32>()).map_while(move |length| {
            let (row, rest) = ids.split_at_checked(u32_at(length) as usize * width.bytes())?;
            ids = rest;
            Some(Row { width, ids: row })
        })
    }
}

/// One row of token ids, scored on its own.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    width: IdWidth,
    ids: &'a [u8],
}

impl Row<'_> {
    /// The number of ids.
    pub fn len(&self) -> usize {
        self.ids.len() / self.width.bytes()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Copies the ids from position `first` on into `out`, as many as both have, and returns how many that were.
    pub fn read(&self, first: usize, out: &mut [TokenId]) -> usize {
        let width = self.width.bytes();
        let ids = self.ids.chunks_exact(width).skip(first);
        let mut n = 0;
        for (into, id) in out.iter_mut().zip(ids) {
            *into = match self.width {
                IdWidth::U16 => TokenId::from(u16::from_le_bytes([id[0], id[1]])),
                IdWidth::U32 => u32_at(id),
            };
            n += 1;
        }
        n
    }
}

/// The u32 at the front of `bytes`, which has at least four.
fn u32_at(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn bytes_of(count: u32, width: usize) -> Result<usize, RequestError> {
    usize::try_from(count).ok().and_then(|n| n.checked_mul(width)).ok_or(RequestError::TooLarge)
}
