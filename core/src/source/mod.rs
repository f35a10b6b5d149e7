//! Where the weights live: one fallible source of bytes, mapped or copied.
//!
//! [`Mapped`] is memory, [`Copying`] reads through a buffer whatever implements [`ReadAt`]: a driver of an SD card, or with
//! the feature `embedded-storage` a NOR flash, by `Nor`.

#[cfg(feature = "embedded-storage")]
mod nor;

#[cfg(feature = "embedded-storage")]
pub use nor::Nor;

use crate::error::{Buffer, BufferTooSmall};
use core::fmt;

/// The medium behind a source did not deliver, or not what it had when the blob was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReadError {
    /// The first byte that was asked for, counted from the blob's first.
    pub offset: usize,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the weights could not be read at byte {}", self.offset)
    }
}

impl core::error::Error for ReadError {}

/// A source's memory cannot hold what the core reads from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SourceError {
    /// The memory, of a mapped blob or of a copying source's buffer, does not start where it has to.
    Misaligned {
        /// What its address must be a multiple of, in bytes.
        need: usize,
    },
    /// A copying source's buffer is smaller than [`MIN_BUFFER`].
    Buffer(BufferTooSmall),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { need } => write!(f, "the memory does not start at a multiple of {need} bytes"),
            Self::Buffer(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Buffer(error) => Some(error),
            _ => None,
        }
    }
}

/// What the address of a mapped blob must be a multiple of.
pub const ALIGNMENT: usize = 16;

/// The smallest buffer that a copying source works with, in bytes.
pub const MIN_BUFFER: usize = 256;

/// Bytes of a blob, a block at a time.
///
/// They stay the same: a model is checked once, when it is opened.
///
/// Sections, tensors and rows start at multiples of 4 bytes, and whatever `read` returns for an offset that is a
/// multiple of 4 starts at an address that is one too.
pub trait Source {
    /// Bytes that can be read, from the blob's first on. A flash partition may be longer than the blob in it.
    fn len(&self) -> usize;

    /// The longest `len` that one [`Source::read`] takes; at least [`MIN_BUFFER`].
    fn max_read(&self) -> usize;

    /// The `len` bytes from `offset` on.
    ///
    /// # Errors
    /// The medium failed, the range leaves the source, or `len` exceeds [`Source::max_read`].
    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError>;

    /// Whether nothing can be read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<S: Source> Source for &mut S {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn max_read(&self) -> usize {
        (**self).max_read()
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        (**self).read(offset, len)
    }
}

fn aligned(bytes: &[u8], need: usize) -> Result<(), SourceError> {
    if bytes.as_ptr().addr().is_multiple_of(need) { Ok(()) } else { Err(SourceError::Misaligned { need }) }
}

/// A blob that the processor can address: flash, or a memory-mapped file. Reads copy nothing.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<'a>(&'a [u8]);

impl<'a> Mapped<'a> {
    /// Wraps a blob's bytes; more may follow them.
    ///
    /// # Errors
    /// [`SourceError::Misaligned`] unless the first byte's address is a multiple of [`ALIGNMENT`];
    /// [`include_blob!`](crate::include_blob) and memory maps give such addresses.
    pub fn new(bytes: &'a [u8]) -> Result<Self, SourceError> {
        aligned(bytes, ALIGNMENT)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl Source for Mapped<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn max_read(&self) -> usize {
        usize::MAX
    }

    #[inline]
    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        let end = offset.checked_add(len).ok_or(ReadError { offset })?;
        self.0.get(offset..end).ok_or(ReadError { offset })
    }
}

/// A medium that is read by copying: SPI flash, an SD card, a file.
pub trait ReadAt {
    /// Bytes that the medium holds, from the blob's first on.
    fn len(&self) -> usize;

    /// Fills `into` with the bytes from `offset` on. `offset + into.len()` is at most [`ReadAt::len`].
    ///
    /// # Errors
    /// The medium failed.
    fn read_at(&mut self, offset: usize, into: &mut [u8]) -> Result<(), ReadError>;

    /// Whether the medium holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReadAt for &[u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn read_at(&mut self, offset: usize, into: &mut [u8]) -> Result<(), ReadError> {
        let bytes = self.get(offset..).and_then(|tail| tail.get(..into.len())).ok_or(ReadError { offset })?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

/// A blob behind a [`ReadAt`], read through a small buffer of the caller's.
#[derive(Debug)]
pub struct Copying<'b, R> {
    medium: R,
    buffer: &'b mut [u8],
}

impl<'b, R: ReadAt> Copying<'b, R> {
    /// Wraps a medium. 1 KiB of buffer is comfortable; a larger one reads more rows at once.
    ///
    /// # Errors
    /// `buffer` is shorter than [`MIN_BUFFER`], or does not start at a multiple of 4 bytes.
    pub fn new(medium: R, buffer: &'b mut [u8]) -> Result<Self, SourceError> {
        BufferTooSmall::check(Buffer::Source, MIN_BUFFER, buffer.len()).map_err(SourceError::Buffer)?;
        aligned(buffer, 4)?;
        Ok(Self { medium, buffer })
    }
}

impl<R: ReadAt> Source for Copying<'_, R> {
    fn len(&self) -> usize {
        self.medium.len()
    }

    fn max_read(&self) -> usize {
        self.buffer.len()
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        let end = offset.checked_add(len).ok_or(ReadError { offset })?;
        let into = self.buffer.get_mut(..len).filter(|_| end <= self.medium.len()).ok_or(ReadError { offset })?;
        self.medium.read_at(offset, into)?;
        Ok(into)
    }
}

/// Bytes at an address that [`Mapped`] and [`Copying`] accept: `Aligned([0; 1024])`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<B: ?Sized>(pub B);

const _: () = assert!(align_of::<Aligned<[u8; 0]>>() == ALIGNMENT);

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn mapped_reads_stay_inside() {
        let bytes = Aligned([7u8; 300]);
        let mut source = Mapped::new(&bytes.0).unwrap();
        assert_eq!(source.read(290, 10).unwrap(), [7; 10]);
        assert_eq!(source.read(291, 10), Err(ReadError { offset: 291 }));
        assert_eq!(source.read(usize::MAX, 2), Err(ReadError { offset: usize::MAX }));
        assert_eq!(Mapped::new(&bytes.0[4..]).unwrap_err(), SourceError::Misaligned { need: ALIGNMENT });
    }

    #[test]
    fn copying_reads_stay_inside() {
        let medium: [u8; 600] = core::array::from_fn(|i| i as u8);
        let mut buffer = Aligned([0; MIN_BUFFER]);
        let mut source = Copying::new(&medium[..], &mut buffer.0).unwrap();
        assert_eq!(source.read(500, 100).unwrap(), &medium[500..]);
        assert_eq!(source.read(501, 100), Err(ReadError { offset: 501 }));
        assert_eq!(source.read(0, MIN_BUFFER + 1), Err(ReadError { offset: 0 }));
        let mut small = Aligned([0; MIN_BUFFER - 1]);
        assert!(matches!(Copying::new(&medium[..], &mut small.0), Err(SourceError::Buffer(_))));
        let mut odd = Aligned([0; MIN_BUFFER + 2]);
        let misaligned = Copying::new(&medium[..], &mut odd.0[2..]).unwrap_err();
        assert_eq!(misaligned.to_string(), "the memory does not start at a multiple of 4 bytes");
    }
}
