//! A NOR flash behind SPI, simulated, so that what goes over its bus can be counted.

use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};

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

impl ErrorType for &mut SimulatedNor<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for &mut SimulatedNor<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let start = offset as usize;
        let from =
            self.memory.get(start..).and_then(|tail| tail.get(..bytes.len())).ok_or(NorFlashErrorKind::OutOfBounds)?;
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
    use emberlm_core::source::{Aligned, Copying, MIN_BUFFER, Nor, ReadError, Source};

    #[test]
    fn reads_are_the_memorys_bytes_and_counted() {
        let memory: [u8; 600] = core::array::from_fn(|i| i as u8);
        let mut flash = SimulatedNor::new(&memory);
        let mut buffer = Aligned([0; MIN_BUFFER]);
        let mut source = Copying::new(Nor::new(&mut flash), &mut buffer.0).unwrap();
        assert_eq!(source.len(), 600);
        assert_eq!(source.read(501, 90).unwrap(), &memory[501..591]);
        assert_eq!(source.read(550, 51), Err(ReadError { offset: 550 }));
        assert_eq!((flash.n_reads, flash.n_bytes), (1, 94));
    }
}
