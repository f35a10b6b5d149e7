//! A medium that counts what is read from it.

use core::cell::Cell;

use emberlm_core::source::{ReadAt, ReadError};

/// A medium that counts what is read from it.
#[derive(Debug)]
pub(crate) struct Counted<'c, R> {
    medium: R,
    bytes: &'c Cell<u64>,
}

impl<'c, R: ReadAt> Counted<'c, R> {
    /// Adds to `bytes` the length of every read.
    pub const fn new(medium: R, bytes: &'c Cell<u64>) -> Self {
        Self { medium, bytes }
    }
}

impl<R: ReadAt> ReadAt for Counted<'_, R> {
    fn len(&self) -> usize {
        self.medium.len()
    }

    fn read_at(&mut self, offset: usize, into: &mut [u8]) -> Result<(), ReadError> {
        self.bytes.set(self.bytes.get() + into.len() as u64);
        self.medium.read_at(offset, into)
    }
}
