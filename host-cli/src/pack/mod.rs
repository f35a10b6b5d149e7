//! Files that a board's own boot loader takes: a blob for the model's partition, or a program for the flash before it.

pub mod image;
mod program;
pub mod uf2;

use std::path::{Path, PathBuf};

use crate::device::{DeviceError, firmware};
use crate::engine::{Blob, BlobError};
use crate::ground::files::{FileError, Kind, Wanted, mapped};
use crate::ground::shown;
use crate::plan::boards::{Board, Package};
use crate::plan::cores::Core;
use image::Image;

/// A boot loader that takes UF2.
#[derive(Clone, Copy, Debug)]
struct Loader {
    board: &'static str,
    /// The flash's first byte.
    flash: u32,
    /// The family of programs.
    program: u32,
    /// The family of bytes that are written to where they say, whatever they are.
    bytes: u32,
}

/// Those of the boot ROMs of Raspberry Pi's chips, by the ids of Microsoft's `utils/uf2families.json` and of the RP2350
/// datasheet, 5.5.3: `rp2040`, `rp2350-arm-s`, and `absolute`, which the RP2040 does not know.
const LOADERS: [Loader; 2] = [
    Loader { board: "rp2040", flash: 0x1000_0000, program: 0xE48B_FF56, bytes: 0xE48B_FF56 },
    Loader { board: "rp2350", flash: 0x1000_0000, program: 0xE48B_FF59, bytes: 0xE48B_FF57 },
];

/// What is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A blob.
    Model,
    /// A program.
    Firmware,
}

impl What {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Firmware => "firmware",
        }
    }
}

/// A file, ready to be written as UF2.
#[derive(Clone, Debug)]
pub struct Packed {
    /// What it is.
    pub what: What,
    /// Whom it is for.
    pub family: u32,
    /// Where its first byte goes.
    pub address: u32,
    /// Its bytes, without what fills their sectors.
    pub bytes: u64,
    /// All that is written.
    pub image: Image,
}

/// Why a file is not packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The board has no such boot loader.
    #[error("{0} has no boot loader that takes UF2; these have: {boards}", boards = boards())]
    NoLoader(&'static str),
    /// The blob does not fit.
    #[error(
        "{}: the model's partition of {board} has {have} bytes, and the blob {need}: `emberlm plan --board {board} --fit` \
         finds formats that fit",
        shown::path(path)
    )]
    TooLarge {
        /// The blob's file.
        path: PathBuf,
        /// The board.
        board: &'static str,
        /// Bytes of the blob.
        need: u64,
        /// Bytes of the partition.
        have: u64,
    },
    /// The program lies where no program may.
    #[error(
        "{}: its bytes from {from:#010x} to {to:#010x} are outside of {board}'s flash for programs, {start:#010x} to \
         {end:#010x}: link it for that, the model follows",
        shown::path(path)
    )]
    Outside {
        /// The program's file.
        path: PathBuf,
        /// The board.
        board: &'static str,
        /// The first of the bytes, and behind the last.
        from: u64,
        /// Behind the last of them.
        to: u64,
        /// The first byte that a program may have.
        start: u64,
        /// Behind the last.
        end: u64,
    },
    /// The program has nothing for a flash, or is damaged.
    #[error("{}: {why}", shown::path(path))]
    Program {
        /// Its file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The blob is refused.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The program is refused.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The file is refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl PackError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Blob(error) => error.kind(),
            Self::Device(error) => error.kind(),
            Self::File(error) => error.kind(),
            _ => "pack",
        }
    }
}

/// The boards that take UF2.
fn boards() -> String {
    LOADERS.map(|loader| loader.board).join(", ")
}

/// Packs a blob for a board's partition, or a program for the flash before it.
///
/// # Errors
/// See [`PackError`].
pub fn pack(file: &Path, board: &'static Board) -> Result<Packed, PackError> {
    let loader = LOADERS.iter().find(|loader| loader.board == board.name);
    let (Some(loader), Some(package)) = (loader, board.package) else { return Err(PackError::NoLoader(board.name)) };
    let found = Kind::of(file)?;
    Wanted::Packable.check_kind(file, found)?;
    if found == Kind::Elf { program(file, board, loader, package) } else { blob(file, board, loader, package) }
}

fn blob(file: &Path, board: &Board, loader: &Loader, package: Package) -> Result<Packed, PackError> {
    let blob = Blob::open(file)?;
    let (address, have) = (package.model_address, package.model_bytes);
    let need = blob.file.bytes().len() as u64;
    if need > have {
        return Err(PackError::TooLarge { path: file.to_owned(), board: board.name, need, have });
    }
    let mut image = Image::default();
    image.put(address, blob.file.bytes());
    Ok(Packed { what: What::Model, family: loader.bytes, address, bytes: need, image })
}

fn program(file: &Path, board: &Board, loader: &Loader, package: Package) -> Result<Packed, PackError> {
    let failed = |why: &str| PackError::Program { path: file.to_owned(), why: why.to_owned() };
    let core = Core::named(board.core).ok_or_else(|| failed("no such core"))?;
    firmware::check_for(file, board.name, core.target, &core.rustflags.join(" "))?;
    let (start, end) = (u64::from(loader.flash), u64::from(package.model_address));
    let bytes = mapped::map(file)?;
    let mut image = Image::default();
    let (mut first, mut sum) = (u32::MAX, 0);
    for (address, segment) in program::segments(&bytes).map_err(|why| failed(&why))? {
        let (from, to) = (address, address.saturating_add(segment.len() as u64));
        let inside = u32::try_from(address).ok().filter(|_| from >= start && to <= end);
        let outside = || PackError::Outside { path: file.to_owned(), board: board.name, from, to, start, end };
        let address = inside.ok_or_else(outside)?;
        image.put(address, segment);
        first = first.min(address);
        sum += segment.len() as u64;
    }
    if sum == 0 {
        return Err(failed("it is a program without a byte for the flash"));
    }
    Ok(Packed { what: What::Firmware, family: loader.program, address: first, bytes: sum, image })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_are_of_boards_with_a_partition_behind_the_program() {
        for loader in LOADERS {
            let package = Board::named(loader.board).and_then(|board| board.package).unwrap();
            assert!(package.model_address > loader.flash, "{}", loader.board);
            // A sector of the model's is no program's.
            assert_eq!(package.model_address % 4096, 0, "{}", loader.board);
        }
    }
}
