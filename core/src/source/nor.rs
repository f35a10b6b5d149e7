//! A NOR flash that is read by commands, as those behind SPI are.

use super::{ReadAt, ReadError};
use crate::part::split_mut;
use embedded_storage::nor_flash::ReadNorFlash;

/// The longest unit of reading that there is memory for.
const MAX_UNIT: usize = 64;

/// A blob at the front of a flash, or of a partition that is one to its driver. [`Copying`](super::Copying) makes a source
/// of it:
///
/// ```
/// use embedded_storage::nor_flash::ReadNorFlash;
/// use emberlm_core::source::{Aligned, Copying, Nor};
/// use emberlm_core::{Error, Model};
///
/// fn n_vocab(flash: impl ReadNorFlash) -> Result<u32, Error> {
///     let mut buffer = Aligned([0; 1024]);
///     let model = Model::open(Copying::new(Nor::new(flash), &mut buffer.0)?)?;
///     Ok(model.config().n_vocab)
/// }
/// ```
///
/// Core reads any bytes. Where the flash takes whole units only ([`ReadNorFlash::READ_SIZE`], up to 64 bytes here), those
/// at both ends of a read are read on their own, so that one read is at most three.
#[derive(Clone, Copy, Debug)]
pub struct Nor<F> {
    flash: F,
}

impl<F: ReadNorFlash> Nor<F> {
    /// Wraps a flash that holds a blob from its first byte on, or `&mut` one.
    pub const fn new(flash: F) -> Self {
        const { assert!(F::READ_SIZE > 0 && F::READ_SIZE <= MAX_UNIT, "READ_SIZE is from 1 to 64") };
        Self { flash }
    }

    /// Reads whole units.
    fn read(&mut self, offset: usize, into: &mut [u8]) -> Option<()> {
        self.flash.read(u32::try_from(offset).ok()?, into).ok()
    }

    /// Reads any bytes.
    fn read_any(&mut self, mut offset: usize, mut into: &mut [u8]) -> Option<()> {
        while !into.is_empty() {
            let (before, whole) = (offset % F::READ_SIZE, into.len() - into.len() % F::READ_SIZE);
            let n = if before == 0 && whole > 0 {
                self.read(offset, into.get_mut(..whole)?)?;
                whole
            } else {
                let mut unit = [0; MAX_UNIT];
                self.read(offset - before, unit.get_mut(..F::READ_SIZE)?)?;
                let n = into.len().min(F::READ_SIZE - before);
                into.get_mut(..n)?.copy_from_slice(unit.get(before..before + n)?);
                n
            };
            offset += n;
            into = split_mut(into, n).1;
        }
        Some(())
    }
}

impl<F: ReadNorFlash> ReadAt for Nor<F> {
    fn len(&self) -> usize {
        self.flash.capacity()
    }

    fn read_at(&mut self, offset: usize, into: &mut [u8]) -> Result<(), ReadError> {
        self.read_any(offset, into).ok_or(ReadError { offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Aligned, Copying, MIN_BUFFER, Source};
    use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, check_read};

    /// A flash that takes units of `UNIT` bytes, and so many reads.
    struct Flash<'m, const UNIT: usize> {
        memory: &'m [u8],
        reads_left: usize,
    }

    impl<'m, const UNIT: usize> Flash<'m, UNIT> {
        fn new(memory: &'m [u8]) -> Self {
            Self { memory, reads_left: usize::MAX }
        }
    }

    impl<const UNIT: usize> ErrorType for Flash<'_, UNIT> {
        type Error = NorFlashErrorKind;
    }

    impl<const UNIT: usize> ReadNorFlash for Flash<'_, UNIT> {
        const READ_SIZE: usize = UNIT;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            check_read(self, offset, bytes.len())?;
            self.reads_left = self.reads_left.checked_sub(1).ok_or(NorFlashErrorKind::Other)?;
            bytes.copy_from_slice(&self.memory[offset as usize..][..bytes.len()]);
            Ok(())
        }

        fn capacity(&self) -> usize {
            self.memory.len()
        }
    }

    fn any_bytes<const UNIT: usize>() {
        let memory: [u8; 192] = core::array::from_fn(|i| i as u8);
        for offset in 0..=memory.len() {
            for len in 0..=memory.len() - offset {
                let mut flash = Flash::<UNIT>::new(&memory);
                flash.reads_left = 3;
                let mut into = [0xEE; 192];
                Nor::new(&mut flash).read_at(offset, &mut into[..len]).unwrap();
                assert_eq!(into[..len], memory[offset..][..len], "{len} from {offset} in units of {UNIT}");
                assert!(into[len..].iter().all(|&byte| byte == 0xEE));
            }
        }
        let mut buffer = Aligned([0; MIN_BUFFER]);
        let mut source = Copying::new(Nor::new(Flash::<UNIT>::new(&memory)), &mut buffer.0).unwrap();
        assert_eq!(source.len(), 192);
        assert_eq!(source.read(190, 3), Err(ReadError { offset: 190 }));
    }

    #[test]
    fn any_bytes_come_out_of_whole_units() {
        any_bytes::<1>();
        any_bytes::<4>();
        any_bytes::<12>();
        any_bytes::<64>();
    }
}
