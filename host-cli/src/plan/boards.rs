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

/// Every board: those that people own, with all memory that a program can have, then those of the emulator, as the linker
/// scripts of their firmware divide it.
pub static BOARDS: &[Board] = &[
    // RP2040 datasheet, 2.6.2, for the RAM. Flash beside the second boot stage, as linker scripts over rp-hal have it:
    // `FLASH : ORIGIN = 0x10000100, LENGTH = 2048K - 0x100`.
    board("rp2040", "Raspberry Pi Pico", "cortex-m0", &[region("flash", 2 * MIB - 256)], &[region("sram", 264 * KIB)]),
    // rp-hal's rp235x-hal-examples/memory.x: eight striped banks of together 512 KiB and two of 4 KiB behind them, and 4
    // MiB of flash on a Pico 2.
    board("rp2350", "Raspberry Pi Pico 2", "cortex-m33", &[region("flash", 4 * MIB)], &[region("sram", 520 * KIB)]),
    // Embassy's examples/nrf52840-rtic/memory.x.
    board(
        "nrf52840",
        "Nordic nRF52840, as on its DK",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("ram", 256 * KIB)],
    ),
    // RM0090, 2.1: SRAM1 of 112 KiB and SRAM2 of 16 KiB behind it, and 64 KiB that only the core reaches. Flash of the
    // xG parts, as in QEMU's include/hw/arm/stm32f405_soc.h.
    board(
        "stm32f405",
        "STM32F405, as on the Feather and the Netduino Plus 2",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("sram", 128 * KIB), region("ccm", 64 * KIB)],
    ),
    // RM0390, 2.1: SRAM1 of 112 KiB and SRAM2 of 16 KiB behind it. Flash of the xE parts, as in the memory.x of Disasm's
    // usb-otg-workspace for the F446RE.
    board(
        "stm32f446",
        "STM32F446RE, as on the Nucleo",
        "cortex-m4f",
        &[region("flash", 512 * KIB)],
        &[region("sram", 128 * KIB)],
    ),
    // stm32h7xx-hal's memory_743_750_753.x: AXISRAM; SRAM1 to SRAM3, which touch; DTCM; SRAM4. Flash of the xI parts.
    board(
        "stm32h743",
        "STM32H743ZI, as on the Nucleo",
        "cortex-m7",
        &[region("flash", 2 * MIB)],
        &[region("axi", 512 * KIB), region("sram", 288 * KIB), region("dtcm", 128 * KIB), region("sram4", 64 * KIB)],
    ),
    // RAM that esp-hal leaves a program: DRAM in its ld/esp32c3/memory.x, RAM in ld/esp32c6/memory.x. Flash beside the boot
    // loader, the partition table and the settings, which end at 0x10000 in firmware-example/esp32/partitions.csv.
    board(
        "esp32c3",
        "ESP32-C3 with 4 MiB of flash",
        "rv32imc",
        &[region("flash", 4 * MIB - 64 * KIB)],
        &[region("dram", 313 * KIB)],
    ),
    board(
        "esp32c6",
        "ESP32-C6 with 4 MiB of flash",
        "rv32imac",
        &[region("flash", 4 * MIB - 64 * KIB)],
        &[region("ram", 0x6_E610)],
    ),
    board(
        "microbit",
        "BBC micro:bit, in the emulator",
        "cortex-m0",
        &[region("flash", 128 * KIB), region("model", 120 * KIB)],
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
        &[region("flash", 128 * KIB), region("model", 640 * KIB)],
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
    use std::fs;
    use std::path::Path;

    /// First byte and length of a memory in a linker script.
    fn memory(script: &str, name: &str) -> (u64, u64) {
        let line = script.lines().map(str::trim).find(|line| line.starts_with(&format!("{name} "))).unwrap();
        let (origin, length) = line.split_once("ORIGIN = 0x").unwrap().1.split_once(", LENGTH = ").unwrap();
        let bytes = |term: &str| {
            let (count, unit) = term.split_at(term.len() - 1);
            count.parse::<u64>().unwrap() * if unit == "M" { MIB } else { KIB }
        };
        let mut terms = length.split(" - ").map(bytes);
        (u64::from_str_radix(origin, 16).unwrap(), terms.next().unwrap() - terms.sum::<u64>())
    }

    #[test]
    fn emulated_boards_have_the_memories_of_their_linker_scripts() {
        let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example");
        for emulated in device::BOARDS {
            let name = emulated.name;
            let package = firmware.join(emulated.family.package);
            let script = ["memory.x", &format!("memory/{name}.x"), "memory/mps2.x"].map(|script| package.join(script));
            let script = fs::read_to_string(script.iter().find(|script| script.exists()).unwrap()).unwrap();
            for (partition, region) in [("MODEL", emulated.model), ("REQUEST", emulated.request)] {
                assert_eq!(memory(&script, partition), (region.address, region.bytes), "{name}: {partition}");
            }
            let board = Board::named(name).unwrap_or_else(|| panic!("{name} has no memories"));
            let bytes = |regions: &[Region]| regions.iter().map(|region| region.bytes).collect::<Vec<_>>();
            assert_eq!(bytes(&board.flash), [memory(&script, "FLASH").1, emulated.model.bytes], "{name}");
            assert_eq!(bytes(&board.ram), [memory(&script, "STACK").1 + memory(&script, "RAM").1], "{name}");
        }
    }
}
