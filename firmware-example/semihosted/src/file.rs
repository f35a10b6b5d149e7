//! Files of the machine that debugs or emulates the board.

use core::ffi::CStr;

use emberlm_core::source::{ReadAt, ReadError};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom};

/// A file of the debugger's machine, read as a card or another slow medium would be.
#[derive(Debug)]
pub struct HostFile {
    file: File,
    len: usize,
}

impl HostFile {
    /// Opens the file of that name in the folder in which debugger or emulator run; `None` where there is none, or one too
    /// large to address.
    pub fn open(name: &CStr) -> Option<Self> {
        let file = File::open(name).ok()?;
        let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
        Some(Self { file, len })
    }
}

impl ReadAt for HostFile {
    fn len(&self) -> usize {
        self.len
    }

    fn read_at(&mut self, offset: usize, into: &mut [u8]) -> Result<(), ReadError> {
        let read = self.file.seek(SeekFrom::Start(offset as u64)).and_then(|_| self.file.read_exact(into));
        read.map_err(|_| ReadError { offset })
    }
}
