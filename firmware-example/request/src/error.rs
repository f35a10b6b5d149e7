//! What can be wrong with a request.

use core::fmt;

/// Why a request cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The memory is shorter than the request.
    Truncated {
        /// Bytes that the request takes.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// The memory does not begin with a request.
    BadMagic,
    /// The request has another version of the layout.
    OtherVersion(u16),
    /// The bytes are not those that were written.
    BadChecksum {
        /// The checksum that the request states.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// The header cannot be decoded.
    BadHeader,
    /// The lengths of the header, the rows and the ids do not add up.
    BadLengths,
    /// A context of no tokens, or a stride of none.
    ZeroLength,
    /// More rows, ids or positions than 32 bits count.
    TooLarge,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => {
                write!(f, "request too long for its memory: need {need} bytes, have {have}")
            }
            Self::BadMagic => f.write_str("no request in its memory: wrong magic"),
            Self::OtherVersion(version) => {
                write!(f, "request has layout version {version}, this build reads {}", crate::VERSION)
            }
            Self::BadChecksum { stored, computed } => {
                write!(f, "request is corrupt: CRC-32 stored {stored:08x}, computed {computed:08x}")
            }
            Self::BadHeader => f.write_str("request header cannot be decoded"),
            Self::BadLengths => f.write_str("request lengths do not add up"),
            Self::ZeroLength => f.write_str("request has a context or stride of 0"),
            Self::TooLarge => f.write_str("request counts more than 32 bits hold"),
        }
    }
}

impl core::error::Error for RequestError {}
