//! The boards that firmware is there for.

use std::fs;
use std::path::Path;

use super::DeviceError;

/// Memory that the host fills before a program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first byte.
    pub address: u64,
    /// Its length.
    pub bytes: u64,
}

/// A board, and how to build for it and run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// The name on the command line, and in the firmware's report.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The program that emulates it.
    pub emulator: &'static str,
    /// The emulator's name for it.
    pub machine: &'static str,
    /// Rust's name for its code.
    pub target: &'static str,
    /// The folder in `firmware-example` with its package.
    pub package: &'static str,
    /// The model's partition, as the package's linker script places it.
    pub model: Region,
    /// The request's.
    pub request: Region,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Every board.
pub const BOARDS: &[Board] = &[Board {
    name: "mps2-an386",
    about: "Arm MPS2, FPGA image AN386: Cortex-M4F",
    emulator: "qemu-system-arm",
    machine: "mps2-an386",
    target: "thumbv7em-none-eabihf",
    package: "mps2",
    model: Region { address: 0x2100_0000, bytes: 12 * MIB },
    request: Region { address: 0x21C0_0000, bytes: 4 * MIB },
}];

impl Board {
    /// The board of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BOARDS.iter().find(|board| board.name == name)
    }

    /// Checks that the blob of that name fits the model's partition.
    ///
    /// # Errors
    /// It does not, or cannot be read.
    pub fn check_blob(&self, blob: &Path) -> Result<(), DeviceError> {
        let file = fs::metadata(blob).map_err(|source| DeviceError::Unreadable { path: blob.into(), source })?;
        let (need, have) = (file.len(), self.model.bytes);
        if need > have { Err(DeviceError::BlobTooLarge { board: self.name, need, have }) } else { Ok(()) }
    }
}
