//! Whose blob it is.

use core::fmt;

use ed25519_compact::{PublicKey, Signature};
use emberlm_core::blob::Preamble;
use emberlm_core::source::{MIN_BUFFER, ReadError, Source};

/// Why a blob is not to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The program was built without an author's key.
    NoKey,
    /// There is no blob, or no room for a signature behind it.
    Missing,
    /// It was not made with the author's key, or not for these bytes.
    Wrong,
    /// The medium failed.
    Read(ReadError),
}

impl From<ReadError> for SignatureError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("this program was built without EMBERLM_PUBLIC_KEY, and takes no model"),
            Self::Missing => f.write_str("no signed blob: the partition ends before a signature could"),
            Self::Wrong => f.write_str("the signature is not the author's, or not of this blob"),
            Self::Read(error) => error.fmt(f),
        }
    }
}

/// Checks the signature behind the blob at the start of `source`, and says how long the blob is.
///
/// Of the blob itself no more is believed than the length in its preamble, which the signature covers like every other
/// byte. The blob is read once, a block at a time, so that it need not lie in memory.
///
/// # Errors
/// See [`SignatureError`].
pub fn check_signature(source: &mut impl Source, author: &PublicKey) -> Result<usize, SignatureError> {
    let preamble = source.read(0, Preamble::BYTES.min(source.len()))?;
    let preamble: Preamble = postcard::from_bytes(preamble).map_err(|_| SignatureError::Missing)?;
    let len = usize::try_from(preamble.blob_bytes).map_err(|_| SignatureError::Missing)?;
    if source.len().checked_sub(len).is_none_or(|rest| rest < Signature::BYTES) {
        return Err(SignatureError::Missing);
    }
    let signature = Signature::from_slice(source.read(len, Signature::BYTES)?).map_err(|_| SignatureError::Wrong)?;
    let mut state = author.verify_incremental(&signature).map_err(|_| SignatureError::Wrong)?;
    let mut at = 0;
    while at < len {
        let n = MIN_BUFFER.min(len - at);
        state.absorb(source.read(at, n)?);
        at += n;
    }
    state.verify().map_err(|_| SignatureError::Wrong)?;
    Ok(len)
}
