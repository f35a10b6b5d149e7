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
    /// What else people call it.
    pub aliases: &'static [&'static str],
    /// What it is.
    pub about: &'static str,
    /// The core, by the name of a [`Core`](super::cores::Core).
    pub core: &'static str,
    /// Flash that is addressed: code in the first region, the model in the last, which may be the first.
    pub flash: Regions,
    /// RAM: variables and stack in the first region, buffers in any.
    pub ram: Regions,
    /// The firmware for it; none of memories that were given by hand.
    pub package: Option<Package>,
}

/// Firmware for a board, and where it finds the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// The folder in `firmware-example`.
    pub folder: &'static str,
    /// The model's partition: its first byte, in the chip's addresses or, of an ESP32, in its flash.
    pub model_address: u32,
    /// Its length.
    pub model_bytes: u64,
}

/// One region or more.
type Regions = std::borrow::Cow<'static, [Region]>;

/// The core of a board that nobody knows more of than its memories.
pub const USUAL_CORE: &str = "cortex-m4f";

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const fn region(name: &'static str, bytes: u64) -> Region {
    Region { name, bytes }
}

const fn board(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    core: &'static str,
    flash: &'static [Region],
    ram: &'static [Region],
    package: Package,
) -> Board {
    let (flash, ram) = (Regions::Borrowed(flash), Regions::Borrowed(ram));
    Board { name, aliases, about, core, flash, ram, package: Some(package) }
}

const fn package(folder: &'static str, model_address: u32, model_bytes: u64) -> Package {
    Package { folder, model_address, model_bytes }
}

/// Of the MPS2 boards and QEMU's RISC-V board, as their linker scripts have them.
const CODE_AND_MODEL: &[Region] = &[region("flash", 4 * MIB), region("model", 12 * MIB)];
const FOUR_MIB: &[Region] = &[region("ram", 4 * MIB)];

/// Every board: those that people own, with all memory that a program can have, then those of the emulator, as the linker
/// scripts of their firmware divide it.
pub static BOARDS: &[Board] = &[
    // RP2040 datasheet, 2.6.2, for the RAM. Flash beside the second boot stage, as linker scripts over rp-hal have it:
    // `FLASH : ORIGIN = 0x10000100, LENGTH = 2048K - 0x100`.
    board(
        "rp2040",
        &["pico", "pico-w", "raspberry-pi-pico"],
        "Raspberry Pi Pico",
        "cortex-m0",
        &[region("flash", 2 * MIB - 256)],
        &[region("sram", 264 * KIB)],
        package("desk", 0x1004_0000, 1792 * KIB),
    ),
    // rp-hal's rp235x-hal-examples/memory.x: eight striped banks of together 512 KiB and two of 4 KiB behind them, and 4
    // MiB of flash on a Pico 2.
    board(
        "rp2350",
        &["pico2", "pico-2", "pico2-w", "raspberry-pi-pico-2"],
        "Raspberry Pi Pico 2",
        "cortex-m33",
        &[region("flash", 4 * MIB)],
        &[region("sram", 520 * KIB)],
        package("desk", 0x1004_0000, 3840 * KIB),
    ),
    // Embassy's examples/nrf52840-rtic/memory.x.
    board(
        "nrf52840",
        &["nrf52840dk", "nrf52840-dk", "pca10056"],
        "Nordic nRF52840, as on its DK",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("ram", 256 * KIB)],
        package("desk", 0x2_0000, 896 * KIB),
    ),
    // RM0090, 2.1: SRAM1 of 112 KiB and SRAM2 of 16 KiB behind it, and 64 KiB that only the core reaches. Flash of the
    // xG parts, as in QEMU's include/hw/arm/stm32f405_soc.h.
    board(
        "stm32f405",
        &["stm32f405rg", "feather-stm32f405"],
        "STM32F405, as on the Feather and the Netduino Plus 2",
        "cortex-m4f",
        &[region("flash", MIB)],
        &[region("sram", 128 * KIB), region("ccm", 64 * KIB)],
        package("desk", 0x0802_0000, 896 * KIB),
    ),
    // DS10314, 3.5 and 3.6: 128 KiB of SRAM, and the flash of the xE parts.
    board(
        "stm32f411",
        &["stm32f411re", "stm32f411ce", "nucleo-f411re", "blackpill", "black-pill"],
        "STM32F411xE, as on the Black Pill and the Nucleo",
        "cortex-m4f",
        &[region("flash", 512 * KIB)],
        &[region("sram", 128 * KIB)],
        package("desk", 0x0802_0000, 384 * KIB),
    ),
    // RM0390, 2.1: SRAM1 of 112 KiB and SRAM2 of 16 KiB behind it. Flash of the xE parts, as in the memory.x of Disasm's
    // usb-otg-workspace for the F446RE.
    board(
        "stm32f446",
        &["stm32f446re", "nucleo-f446re"],
        "STM32F446RE, as on the Nucleo",
        "cortex-m4f",
        &[region("flash", 512 * KIB)],
        &[region("sram", 128 * KIB)],
        package("desk", 0x0802_0000, 384 * KIB),
    ),
    // stm32h7xx-hal's memory_743_750_753.x: AXISRAM; SRAM1 to SRAM3, which touch; DTCM; SRAM4. Flash of the xI parts.
    board(
        "stm32h743",
        &["stm32h743zi", "nucleo-h743zi"],
        "STM32H743ZI, as on the Nucleo",
        "cortex-m7",
        &[region("flash", 2 * MIB)],
        &[region("axi", 512 * KIB), region("sram", 288 * KIB), region("dtcm", 128 * KIB), region("sram4", 64 * KIB)],
        package("desk", 0x0802_0000, 1920 * KIB),
    ),
    // RAM that esp-hal leaves a program: DRAM in its ld/esp32c3/memory.x, RAM in ld/esp32c6/memory.x. Flash beside the boot
    // loader, the partition table and the settings, which end at 0x10000 in firmware-example/esp32/partitions.csv.
    board(
        "esp32c3",
        &["esp32-c3"],
        "ESP32-C3 with 4 MiB of flash",
        "rv32imc",
        &[region("flash", 4 * MIB - 64 * KIB)],
        &[region("dram", 313 * KIB)],
        package("esp32", 0x9_0000, 3520 * KIB),
    ),
    board(
        "esp32c6",
        &["esp32-c6"],
        "ESP32-C6 with 4 MiB of flash",
        "rv32imac",
        &[region("flash", 4 * MIB - 64 * KIB)],
        &[region("ram", 0x6_E610)],
        package("esp32", 0x9_0000, 3520 * KIB),
    ),
    board(
        "microbit",
        &["micro-bit", "bbc-microbit"],
        "BBC micro:bit, in the emulator",
        "cortex-m0",
        &[region("flash", 128 * KIB), region("model", 120 * KIB)],
        &[region("ram", 16 * KIB)],
        package("small", 0x2_0000, 120 * KIB),
    ),
    board(
        "mps2-an385-m0",
        &[],
        "Arm MPS2 with code for M0, in the emulator",
        "cortex-m0",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("mps", 0x2100_0000, 12 * MIB),
    ),
    board(
        "mps2-an385",
        &[],
        "Arm MPS2, in the emulator",
        "cortex-m3",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("mps", 0x2100_0000, 12 * MIB),
    ),
    board(
        "mps2-an386",
        &[],
        "Arm MPS2, in the emulator",
        "cortex-m4f",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("mps", 0x2100_0000, 12 * MIB),
    ),
    board(
        "mps2-an500",
        &[],
        "Arm MPS2, in the emulator",
        "cortex-m7",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("mps", 0x6000_0000, 12 * MIB),
    ),
    board(
        "mps2-an505",
        &[],
        "Arm MPS2, in the emulator",
        "cortex-m33",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("mps", 0x8000_0000, 12 * MIB),
    ),
    board(
        "mps3-an547",
        &[],
        "Arm MPS3, in the emulator",
        "cortex-m55",
        &[region("flash", 512 * KIB), region("model", 1024 * MIB)],
        FOUR_MIB,
        package("mps", 0x6000_0000, 1024 * MIB),
    ),
    board(
        "netduinoplus2",
        &["netduino-plus-2"],
        "Netduino Plus 2, STM32F405, in the emulator, which lacks the second memory",
        "cortex-m4f",
        &[region("flash", 128 * KIB), region("model", 640 * KIB)],
        &[region("sram", 128 * KIB)],
        package("small", 0x0802_0000, 640 * KIB),
    ),
    board(
        "virt-rv32imc",
        &[],
        "RISC-V, in the emulator",
        "rv32imc",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("riscv-virt", 0x8100_0000, 12 * MIB),
    ),
    board(
        "virt-rv32imac",
        &[],
        "RISC-V, in the emulator",
        "rv32imac",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("riscv-virt", 0x8100_0000, 12 * MIB),
    ),
    board(
        "virt-rv32imafc",
        &[],
        "RISC-V, in the emulator",
        "rv32imafc",
        CODE_AND_MODEL,
        FOUR_MIB,
        package("riscv-virt", 0x8100_0000, 12 * MIB),
    ),
];

impl Board {
    /// The board of that name, or that people call so, in capitals or not.
    pub fn named(name: &str) -> Option<&'static Self> {
        let is_it = |known: &&str| known.eq_ignore_ascii_case(name);
        BOARDS.iter().find(|board| [board.name].iter().chain(board.aliases).any(&is_it))
    }

    /// A board with so many bytes of flash and of RAM, the latter in pieces, at least one.
    pub fn custom(core: &'static str, flash: u64, ram: &[u64]) -> Self {
        const NAMES: [&str; 4] = ["ram", "ram 2", "ram 3", "further ram"];
        let regions = ram.iter().enumerate().map(|(index, &bytes)| region(NAMES[index.min(NAMES.len() - 1)], bytes));
        Self {
            name: "custom",
            aliases: &[],
            about: "memories as given",
            core,
            flash: Regions::Owned(vec![region("flash", flash)]),
            ram: Regions::Owned(regions.collect()),
            package: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    /// First byte and length of a memory in a linker script.
    fn memory(script: &str, name: &str) -> (u64, u64) {
        let line = script.lines().map(str::trim).find(|line| line.starts_with(&format!("{name} "))).unwrap();
        let (origin, length) = line.split_once("ORIGIN = 0x").unwrap().1.split_once(", LENGTH = ").unwrap();
        let bytes = |term: &str| {
            if let Some(bytes) = term.strip_prefix("0x") {
                return u64::from_str_radix(bytes, 16).unwrap();
            }
            let (count, unit) = term.split_at(term.len() - 1);
            count.parse::<u64>().unwrap() * if unit == "M" { MIB } else { KIB }
        };
        let mut terms = length.split(" - ").map(bytes);
        (u64::from_str_radix(origin, 16).unwrap(), terms.next().unwrap() - terms.sum::<u64>())
    }

    fn firmware() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example")
    }

    /// What a manifest's features are called, but for the default.
    fn features(package: &str) -> BTreeSet<String> {
        let manifest = fs::read_to_string(firmware().join(package).join("Cargo.toml")).unwrap();
        let table = manifest.split_once("\n[features]\n").unwrap().1.split("\n[").next().unwrap();
        let names = table.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
        names.filter(|name| name != "default").collect()
    }

    #[test]
    fn every_board_has_a_package_and_every_package_boards() {
        let mut boards = BTreeMap::<&str, BTreeSet<String>>::new();
        for board in BOARDS {
            let package = board.package.unwrap_or_else(|| panic!("{} has no package", board.name));
            boards.entry(package.folder).or_default().insert(board.name.to_owned());
        }
        // Packages whose features are boards say so.
        let says_so = |folder: &PathBuf| {
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            manifest.contains("# The board: exactly one") || manifest.contains("# The chip: exactly one.")
        };
        let folders = fs::read_dir(firmware()).unwrap().map(|entry| entry.unwrap().path()).filter(says_so);
        let packages: BTreeSet<String> =
            folders.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(packages, boards.keys().map(|&name| name.to_owned()).collect());
        for (package, boards) in boards {
            // Of a part with a package of its own another may have the memory alone; and one feature is a program.
            let is_elsewhere = |name: &String| !boards.contains(name) && Board::named(name).is_some();
            let named =
                features(package).into_iter().filter(|name| name != "generate" && !is_elsewhere(name)).collect();
            assert_eq!(boards, named, "left: planned, right: those of {package}");
        }
    }

    #[test]
    fn names_are_of_one_board_and_found_in_capitals_too() {
        let mut names = BTreeSet::new();
        for board in BOARDS {
            for name in [board.name].iter().chain(board.aliases) {
                assert!(names.insert(name.to_ascii_lowercase()), "{name} is two boards");
                assert_eq!(Board::named(&name.to_uppercase()).map(|found| found.name), Some(board.name));
            }
        }
        for (name, board) in
            [("pico", "rp2040"), ("Pico2", "rp2350"), ("nrf52840dk", "nrf52840"), ("microbit", "microbit")]
        {
            assert_eq!(Board::named(name).map(|found| found.name), Some(board), "{name}");
        }
        assert_eq!(Board::named("pico3"), None);
    }

    #[test]
    fn boards_on_a_desk_have_the_partitions_of_their_linker_scripts() {
        let of = |folder: &'static str| {
            BOARDS.iter().filter_map(move |board| Some((board, board.package.filter(|it| it.folder == folder)?)))
        };
        for (board, package) in of("desk") {
            let script = fs::read_to_string(firmware().join("desk/memory").join(board.name).with_extension("x"));
            let script = script.unwrap();
            let model = memory(&script, "MODEL");
            assert_eq!(model, (package.model_address.into(), package.model_bytes), "{}", board.name);
            let (code, bytes) = memory(&script, "FLASH");
            assert_eq!(code + bytes, model.0, "{}: the model follows the program", board.name);
        }
        let partitions = fs::read_to_string(firmware().join("esp32/partitions.csv")).unwrap();
        let model = partitions.lines().find(|line| line.starts_with("model,")).unwrap();
        let words: Vec<&str> = model.split(',').map(str::trim).collect();
        let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
        for (board, package) in of("esp32") {
            let (address, bytes) = (package.model_address.into(), package.model_bytes);
            assert_eq!((number(words[3]), number(words[4])), (address, bytes), "{}", board.name);
        }
    }

    #[test]
    fn emulated_boards_have_the_memories_of_their_linker_scripts() {
        for emulated in device::BOARDS {
            let name = emulated.name;
            let package = firmware().join(emulated.family.package);
            let script = ["memory.x", &format!("memory/{name}.x"), "memory/mps2.x"].map(|script| package.join(script));
            let script = fs::read_to_string(script.iter().find(|script| script.exists()).unwrap()).unwrap();
            for (partition, region) in [("MODEL", emulated.model), ("REQUEST", emulated.request)] {
                assert_eq!(memory(&script, partition), (region.address, region.bytes), "{name}: {partition}");
            }
            let board = Board::named(name).unwrap_or_else(|| panic!("{name} has no memories"));
            let device::Region { address, bytes } = emulated.model;
            let model =
                board.package.map(|package| (package.folder, u64::from(package.model_address), package.model_bytes));
            assert_eq!(model, Some((emulated.family.package, address, bytes)), "{name}");
            let bytes = |regions: &[Region]| regions.iter().map(|region| region.bytes).collect::<Vec<_>>();
            assert_eq!(bytes(&board.flash), [memory(&script, "FLASH").1, emulated.model.bytes], "{name}");
            assert_eq!(bytes(&board.ram), [memory(&script, "STACK").1 + memory(&script, "RAM").1], "{name}");
        }
    }
}
