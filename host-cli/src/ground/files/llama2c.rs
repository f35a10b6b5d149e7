//! The headers of llama2.c's files.

use std::fmt;

/// Bytes of a header of version 0: seven i32.
pub const HEADER: usize = 28;

/// What later versions begin with: `ak42` in a little-endian integer.
pub const MAGIC: [u8; 4] = 0x616b_3432_u32.to_le_bytes();

/// The most of any count.
const MOST: i32 = 1 << 24;

/// Which version, and what only it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The first, without magic: f32.
    Zero,
    /// f32.
    One,
    /// i8 in groups of so many.
    Two {
        /// Elements that share a scale.
        group: usize,
    },
}

impl Version {
    /// Bytes of the headers of later versions.
    pub const PADDED: usize = 256;
}

/// A header, every count of which is above 0, whose heads divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The file's version.
    pub version: Version,
    /// `n_embd`.
    pub dim: usize,
    /// `n_ff`.
    pub hidden: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Heads of queries.
    pub n_head: usize,
    /// Heads of keys and values.
    pub n_kv_head: usize,
    /// Tokens.
    pub n_vocab: usize,
    /// Positions.
    pub n_ctx: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
}

impl Header {
    /// Reads the header that a file begins with.
    ///
    /// # Errors
    /// It is cut short, of another version, or counts what no model has.
    pub fn read(file: &[u8]) -> Result<Self, String> {
        let at = |offset: usize| {
            let bytes = file.get(offset..).and_then(<[u8]>::first_chunk);
            bytes.map(|bytes| i32::from_le_bytes(*bytes)).ok_or_else(|| "its header is cut short".to_owned())
        };
        let has_magic = file.starts_with(&MAGIC);
        let first = if has_magic { 8 } else { 0 };
        let mut counts = [0; 7];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = at(first + 4 * index)?;
        }
        let (version, tied) = match has_magic.then(|| at(4)).transpose()? {
            None => {
                let tied = counts[5] > 0;
                counts[5] = counts[5].saturating_abs();
                (Version::Zero, tied)
            }
            Some(version @ (1 | 2)) => {
                let tied = match file.get(first + HEADER) {
                    Some(0) => false,
                    Some(1) => true,
                    _ => return Err("its header does not say whether the head is tied".to_owned()),
                };
                let version = match version {
                    1 => Version::One,
                    _ => match at(first + HEADER + 1)? {
                        group @ 1..=MOST => Version::Two { group: group as usize },
                        group => return Err(format!("its groups have {group} elements")),
                    },
                };
                (version, tied)
            }
            Some(version) => return Err(format!("version {version} is not supported (0, 1, 2)")),
        };
        if let Some(count) = counts.iter().find(|count| !(1..=MOST).contains(*count)) {
            return Err(format!("its header counts {count} of something"));
        }
        let [dim, hidden, n_layer, n_head, n_kv_head, n_vocab, n_ctx] = counts.map(|count| count as usize);
        let header = Self { version, dim, hidden, n_layer, n_head, n_kv_head, n_vocab, n_ctx, tied };
        if !dim.is_multiple_of(2 * n_head) || !n_head.is_multiple_of(n_kv_head) {
            return Err(format!("its heads do not divide: {header}"));
        }
        Ok(header)
    }

    /// Width of a head; even.
    pub const fn head_dim(&self) -> usize {
        self.dim / self.n_head
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dim, hidden, n_layer, n_head, n_kv_head, n_vocab, n_ctx, .. } = self;
        write!(
            f,
            "dim {dim}, hidden_dim {hidden}, n_layers {n_layer}, n_heads {n_head}, n_kv_heads {n_kv_head}, vocab_size \
             {n_vocab}, max_seq_len {n_ctx}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(counts: [i32; 7]) -> Vec<u8> {
        counts.into_iter().flat_map(i32::to_le_bytes).collect()
    }

    #[test]
    fn every_version_says_its_counts() {
        let counts = [64, 172, 5, 8, 4, 512, 256];
        let zero = Header::read(&bytes(counts)).unwrap();
        assert_eq!((zero.version, zero.n_vocab, zero.tied, zero.head_dim()), (Version::Zero, 512, true, 8));
        let untied = Header::read(&bytes([64, 172, 5, 8, 4, -512, 256])).unwrap();
        assert_eq!(untied, Header { tied: false, ..zero });
        let with_magic = |version: i32, rest: &[u8]| {
            let header = [MAGIC.as_slice(), &version.to_le_bytes(), &bytes(counts), rest].concat();
            Header::read(&header)
        };
        assert_eq!(with_magic(1, &[0]), Ok(Header { version: Version::One, tied: false, ..zero }));
        let group = [&[1], 64i32.to_le_bytes().as_slice()].concat();
        assert_eq!(with_magic(2, &group), Ok(Header { version: Version::Two { group: 64 }, ..zero }));
        assert!(with_magic(3, &[1]).unwrap_err().contains("version 3 is not supported"));
        assert!(with_magic(1, &[2]).is_err() && with_magic(1, &[]).is_err() && with_magic(2, &[1]).is_err());
        assert!(with_magic(2, &[1, 0, 0, 0, 0]).unwrap_err().contains("groups have 0"));
    }

    #[test]
    fn counts_that_no_model_has_are_refused() {
        for (at, count) in [(0, 0), (1, -172), (2, 0), (3, 7), (3, 64), (4, 3), (5, 0), (6, i32::MIN), (0, i32::MAX)] {
            let mut counts = [64, 172, 5, 8, 4, 512, 256];
            counts[at] = count;
            assert!(Header::read(&bytes(counts)).is_err(), "{counts:?}");
        }
        assert!(Header::read(&bytes([64, 172, 5, 8, 4, 512, 256])[..27]).is_err());
    }
}
