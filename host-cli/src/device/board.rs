//! The boards that firmware is there for.

use std::path::Path;

use super::DeviceError;
use crate::ground::files::{FileError, Wanted, read};

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
    /// The name on the command line, in the firmware's report, and of the package's feature that chooses it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The family: how to emulate it.
    pub family: &'static Family,
    /// The emulator's name for it.
    pub machine: &'static str,
    /// Rust's name for its code.
    pub target: &'static str,
    /// What the compiler is told beyond the target.
    pub rustflags: &'static str,
    /// The model's partition, as the package's linker script places it.
    pub model: Region,
    /// The request's.
    pub request: Region,
}

/// Where the board finds the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// In its memory, as in flash.
    Memory,
    /// In a file that it reads in blocks, as from a card.
    Card,
}

impl Medium {
    /// The program that scores a model there.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Memory => "score",
            Self::Card => "card",
        }
    }
}

/// Boards that share a package and an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The folder in `firmware-example` with the package.
    pub package: &'static str,
    /// The program that emulates them.
    pub emulator: &'static str,
    /// What it is told beyond the machine.
    pub options: &'static [&'static str],
}

/// Arm's MPS2 and MPS3 boards.
const MPS: Family = Family { package: "mps", emulator: "qemu-system-arm", options: &[] };

/// QEMU's own RISC-V board. Without firmware of its own, it starts with the first instruction in RAM.
const RISCV_VIRT: Family =
    Family { package: "riscv-virt", emulator: "qemu-system-riscv32", options: &["-bios", "none"] };

/// Boards whose own flash and RAM are all there is.
const SMALL: Family = Family { package: "small", ..MPS };

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Every board: Arm's, the smallest cores first, then RISC-V.
pub const BOARDS: &[Board] = &[
    Board {
        name: "microbit",
        about: "BBC micro:bit: Cortex-M0, 256 KiB of flash, 16 KiB of RAM",
        family: &SMALL,
        machine: "microbit",
        target: "thumbv6m-none-eabi",
        rustflags: "",
        model: Region { address: 0x2_0000, bytes: 120 * KIB },
        request: Region { address: 0x3_E000, bytes: 8 * KIB },
    },
    mps2(
        "mps2-an385-m0",
        "mps2-an385",
        "Arm MPS2, FPGA image AN385: a Cortex-M3 with code for M0 and M0+",
        "thumbv6m-none-eabi",
    ),
    mps2("mps2-an385", "mps2-an385", "Arm MPS2, FPGA image AN385: Cortex-M3", "thumbv7m-none-eabi"),
    mps2("mps2-an386", "mps2-an386", "Arm MPS2, FPGA image AN386: Cortex-M4F", "thumbv7em-none-eabihf"),
    Board {
        model: Region { address: 0x6000_0000, bytes: 12 * MIB },
        request: Region { address: 0x60C0_0000, bytes: 4 * MIB },
        ..mps2("mps2-an500", "mps2-an500", "Arm MPS2, FPGA image AN500: Cortex-M7", "thumbv7em-none-eabihf")
    },
    Board {
        name: "mps2-an505",
        about: "Arm MPS2, FPGA image AN505: Cortex-M33",
        family: &MPS,
        machine: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        rustflags: "-Ctarget-cpu=cortex-m33",
        model: Region { address: 0x8000_0000, bytes: 12 * MIB },
        request: Region { address: 0x80C0_0000, bytes: 4 * MIB },
    },
    Board {
        name: "mps3-an547",
        about: "Arm MPS3, FPGA image AN547: Cortex-M55",
        family: &MPS,
        machine: "mps3-an547",
        target: "thumbv8m.main-none-eabihf",
        // Vectors of floats flush subnormal numbers to zero: what uses them does so by hand, where it changes no bit.
        rustflags: "-Ctarget-cpu=cortex-m55 -Cno-vectorize-loops -Cno-vectorize-slp",
        model: Region { address: 0x6000_0000, bytes: 1024 * MIB },
        request: Region { address: 0xA000_0000, bytes: 4 * MIB },
    },
    Board {
        name: "netduinoplus2",
        about: "Netduino Plus 2, STM32F405: Cortex-M4F, 1 MiB of flash, 128 KiB of RAM",
        family: &SMALL,
        machine: "netduinoplus2",
        target: "thumbv7em-none-eabihf",
        rustflags: "",
        model: Region { address: 0x0802_0000, bytes: 640 * KIB },
        request: Region { address: 0x080C_0000, bytes: 128 * KIB },
    },
    virt("virt-rv32imc", "RISC-V of 32 bits with multiplication", "riscv32imc-unknown-none-elf"),
    virt("virt-rv32imac", "RISC-V of 32 bits with multiplication and atomics", "riscv32imac-unknown-none-elf"),
    virt(
        "virt-rv32imafc",
        "RISC-V of 32 bits with multiplication, atomics and floats",
        "riscv32imafc-unknown-none-elf",
    ),
];

/// A board with one of the FPGA images that share a memory map.
const fn mps2(name: &'static str, machine: &'static str, about: &'static str, target: &'static str) -> Board {
    Board {
        name,
        about,
        family: &MPS,
        machine,
        target,
        rustflags: "",
        model: Region { address: 0x2100_0000, bytes: 12 * MIB },
        request: Region { address: 0x21C0_0000, bytes: 4 * MIB },
    }
}

const fn virt(name: &'static str, about: &'static str, target: &'static str) -> Board {
    Board {
        name,
        about,
        family: &RISCV_VIRT,
        machine: "virt",
        target,
        rustflags: "",
        model: Region { address: 0x8100_0000, bytes: 12 * MIB },
        request: Region { address: 0x81C0_0000, bytes: 4 * MIB },
    }
}

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
        Wanted::Blob.check(blob)?;
        let bytes = read::open(blob)?.metadata().map_err(|error| FileError::io(blob, &error))?.len();
        let (need, have) = (bytes, self.model.bytes);
        if need > have { Err(DeviceError::BlobTooLarge { board: self.name, need, have }) } else { Ok(()) }
    }
}
