//! Boards and their memories, those in the emulator and those on a desk.

/// A run of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name in reports.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
}

/// The memories of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The core, one of [`CORES`].
    pub core: &'static str,
    /// Flash that is addressed: code in the first region, the model in the last, which may be the first.
    pub flash: Regions,
    /// RAM: variables and stack in the first region, buffers in any.
    pub ram: Regions,
}

/// One region or more.
type Regions = std::borrow::Cow<'static, [Region]>;

/// Cores that firmware was measured for.
pub const CORES: [&str; 9] = [
    "cortex-m0",
    "cortex-m3",
    "cortex-m4f",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "rv32imc",
    "rv32imac",
    "rv32imafc",
];

/// The core of a board that nobody knows more of than its memories.
pub const USUAL_CORE: &str = "cortex-m4f";

/// What `memory.x` of esp-hal leaves.
const ESP32C3_DRAM: u64 = 313 * KIB;
const ESP32C6_RAM: u64 = 0x6E610;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const fn region(name: &'static str, bytes: u64) -> Region {
    Region { name, bytes }
}

const fn board(
    name: &'static str,
    about: &'static str,
    core: &'static str,
    flash: &'static [Region],
    ram: &'static [Region],
) -> Board {
    Board { name, about, core, flash: Regions::Borrowed(flash), ram: Regions::Borrowed(ram) }
}

/// Of the MPS2 boards and QEMU's RISC-V board, as their linker scripts have them.
const CODE_AND_MODEL: &[Region] = &[region("flash", 4 * MIB), region("model", 12 * MIB)];
const FOUR_MIB: &[Region] = &[region("ram", 4 * MIB)];

/// Every board: those that people own, then those of the emulator.
pub static BOARDS: &[Board] = &[
    board("rp2040", "Raspberry Pi Pico", "cortex-m0", &[region("flash", 2 * MIB)], &[region("sram", 264 * KIB)]),
    board("rp2350", "Raspberry Pi Pico 2", "cortex-m33", &[region("flash", 4 * MIB)], &[region("sram", 520 * KIB)]),
    board(
        "nrf52840",
        "Nordic nRF52840, as on its DK",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("ram", 256 * KIB)],
    ),
    board(
        "stm32f405",
        "STM32F405, as on the Feather and the Netduino Plus 2",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("sram", 128 * KIB), region("ccm", 64 * KIB)],
    ),
    board(
        "stm32f446",
        "STM32F446RE, as on the Nucleo",
        "cortex-m4f",
        &[region("flash", 512 * KIB)],
        &[region("sram", 128 * KIB)],
    ),
    board(
        "stm32h743",
        "STM32H743ZI, as on the Nucleo",
        "cortex-m7",
        &[region("flash", 2 * MIB)],
        &[region("axi", 512 * KIB), region("sram", 288 * KIB), region("dtcm", 128 * KIB), region("sram4", 64 * KIB)],
    ),
    // Flash beside the boot loader, the partition table and the settings, which end at 0x10000; RAM that esp-hal's linker
    // script leaves an application.
    board(
        "esp32c3",
        "ESP32-C3 with 4 MiB of flash",
        "rv32imc",
        &[region("flash", 4 * MIB - 64 * KIB)],
        &[region("dram", ESP32C3_DRAM)],
    ),
    board(
        "esp32c6",
        "ESP32-C6 with 4 MiB of flash",
        "rv32imac",
        &[region("flash", 4 * MIB - 64 * KIB)],
        &[region("ram", ESP32C6_RAM)],
    ),
    board(
        "microbit",
        "BBC micro:bit, in the emulator",
        "cortex-m0",
        &[region("flash", 256 * KIB)],
        &[region("ram", 16 * KIB)],
    ),
    board("mps2-an385-m0", "Arm MPS2 with code for M0, in the emulator", "cortex-m0", CODE_AND_MODEL, FOUR_MIB),
    board("mps2-an385", "Arm MPS2, in the emulator", "cortex-m3", CODE_AND_MODEL, FOUR_MIB),
    board("mps2-an386", "Arm MPS2, in the emulator", "cortex-m4f", CODE_AND_MODEL, FOUR_MIB),
    board("mps2-an500", "Arm MPS2, in the emulator", "cortex-m7", CODE_AND_MODEL, FOUR_MIB),
    board("mps2-an505", "Arm MPS2, in the emulator", "cortex-m33", CODE_AND_MODEL, FOUR_MIB),
    board(
        "mps3-an547",
        "Arm MPS3, in the emulator",
        "cortex-m55",
        &[region("flash", 512 * KIB), region("model", 1024 * MIB)],
        FOUR_MIB,
    ),
    board(
        "netduinoplus2",
        "Netduino Plus 2, STM32F405, in the emulator, which lacks the second memory",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("sram", 128 * KIB)],
    ),
    board("virt-rv32imc", "RISC-V, in the emulator", "rv32imc", CODE_AND_MODEL, FOUR_MIB),
    board("virt-rv32imac", "RISC-V, in the emulator", "rv32imac", CODE_AND_MODEL, FOUR_MIB),
    board("virt-rv32imafc", "RISC-V, in the emulator", "rv32imafc", CODE_AND_MODEL, FOUR_MIB),
];

impl Board {
    /// The board of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BOARDS.iter().find(|board| board.name == name)
    }

    /// A board with so many bytes of flash and of RAM, the latter in pieces, at least one.
    pub fn custom(core: &'static str, flash: u64, ram: &[u64]) -> Self {
        const NAMES: [&str; 4] = ["ram", "ram 2", "ram 3", "further ram"];
        let regions = ram.iter().enumerate().map(|(index, &bytes)| region(NAMES[index.min(NAMES.len() - 1)], bytes));
        Self {
            name: "custom",
            about: "memories as given",
            core,
            flash: Regions::Owned(vec![region("flash", flash)]),
            ram: Regions::Owned(regions.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;

    #[test]
    fn every_board_that_scores_is_there_with_its_partition() {
        for emulated in device::BOARDS {
            let board = Board::named(emulated.name).unwrap_or_else(|| panic!("{} has no memories", emulated.name));
            assert!(emulated.model.bytes <= board.flash.last().unwrap().bytes, "{}", board.name);
        }
    }
}
