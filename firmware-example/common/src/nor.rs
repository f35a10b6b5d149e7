//! Weights that the processor cannot address: a NOR flash behind SPI.

use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use emberlm_core::source::{ReadAt, ReadError};

/// A blob at the front of a NOR flash that is read byte by byte, as those behind SPI are.
#[derive(Debug)]
pub struct Nor<F>(pub F);

impl<F: ReadNorFlash> ReadAt for Nor<F> {
    fn len(&self) -> usize {
        self.0.capacity()
    }

    fn read_at(&mut self, offset: usize, into: &mut [u8]) -> Result<(), ReadError> {
        const { assert!(F::READ_SIZE == 1, "core reads at any byte") };
        let failed = ReadError { offset };
        let address = u32::try_from(offset).map_err(|_| failed)?;
        self.0.read(address, into).map_err(|_| failed)
    }
}

/// A NOR flash that is simulated: memory behind READ commands, which are counted.
#[derive(Debug)]
pub struct SimulatedNor<'a> {
    memory: &'a [u8],
    /// READ commands so far.
    pub n_reads: u64,
    /// Bytes on the bus so far: each command's code and address of 24 bits, and the data.
    pub n_bytes: u64,
}

/// The READ command and its address.
const COMMAND_BYTES: u64 = 4;

impl<'a> SimulatedNor<'a> {
    /// A flash that holds `memory`, of at most the 16 MiB that 24 bits address.
    pub const fn new(memory: &'a [u8]) -> Self {
        Self { memory, n_reads: 0, n_bytes: 0 }
    }
}

/// A read beyond the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

impl NorFlashError for OutOfBounds {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl ErrorType for &mut SimulatedNor<'_> {
    type Error = OutOfBounds;
}

impl ReadNorFlash for &mut SimulatedNor<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), OutOfBounds> {
        let start = offset as usize;
        let from = self.memory.get(start..).and_then(|tail| tail.get(..bytes.len())).ok_or(OutOfBounds)?;
        bytes.copy_from_slice(from);
        self.n_reads += 1;
        self.n_bytes += COMMAND_BYTES + bytes.len() as u64;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::source::{Copying, MIN_BUFFER, Source};

    #[test]
    fn reads_are_the_memorys_bytes_and_counted() {
        let memory: [u8; 600] = core::array::from_fn(|i| i as u8);
        let mut flash = SimulatedNor::new(&memory);
        let mut buffer = emberlm_core::source::Aligned([0; MIN_BUFFER]);
        let mut source = Copying::new(Nor(&mut flash), &mut buffer.0).unwrap();
        assert_eq!(source.len(), 600);
        assert_eq!(source.read(501, 90).unwrap(), &memory[501..591]);
        assert_eq!(source.read(550, 51), Err(ReadError { offset: 550 }));
        assert_eq!((flash.n_reads, flash.n_bytes), (1, 94));
    }
}
