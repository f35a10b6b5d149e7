//! `emberlm pack`: what a boot loader makes of its files is what was packed, and nothing else is written.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::run;
use emberlm::plan::boards::Board;
use emberlm_tests::fixtures;
use serde_json::Value;
use tempfile::TempDir;

const SECTOR: u64 = 4096;
const RP2040: u32 = 0xE48B_FF56;
const ABSOLUTE: u32 = 0xE48B_FF57;
const RP2350_ARM_S: u32 = 0xE48B_FF59;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn blob(folder: &TempDir, weights: &str) -> PathBuf {
    let (model, blob) = (fixtures::bundled("shakespeare-char"), folder.path().join(weights).with_extension("blob"));
    let args = ["convert", text(&model), "-o", text(&blob), "--weights", weights, "--calibrate", "none"];
    run("convert", 0, &args);
    blob
}

/// What a boot loader writes, by the specification's table: bytes by their addresses. Blocks for others are none of its.
fn loaded(file: &Path, family: u32) -> BTreeMap<u64, u8> {
    let bytes = fs::read(file).unwrap();
    assert!(bytes.len().is_multiple_of(512));
    let n_blocks = bytes.len() / 512;
    let mut flash = BTreeMap::new();
    for (index, block) in bytes.chunks_exact(512).enumerate() {
        let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(4), word(508)], [0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30], "block {index}");
        assert_eq!([word(8), word(28)], [0x2000, family], "block {index}");
        assert_eq!([word(16), word(20), word(24)], [256, index as u32, n_blocks as u32], "block {index}");
        let address = u64::from(word(12));
        assert!(address.is_multiple_of(256), "block {index}");
        for (at, &byte) in (address..).zip(&block[32..32 + 256]) {
            assert_eq!(flash.insert(at, byte), None, "{at:#x} is written twice");
        }
        assert!(block[32 + 256..508].iter().all(|&byte| byte == 0), "block {index}");
    }
    // Sectors are erased whole: what is not given of one is lost.
    assert!(
        flash.keys().all(|at| flash.contains_key(&(at / SECTOR * SECTOR)) && flash.contains_key(&(at | (SECTOR - 1))))
    );
    flash
}

#[test]
fn a_boot_loader_finds_the_blob_in_the_models_partition() {
    let folder = tempfile::tempdir().unwrap();
    let (blob, output) = (blob(&folder, "q4"), folder.path().join("model.uf2"));
    let bytes = fs::read(&blob).unwrap();
    for (name, board, family) in [("pico", "rp2040", RP2040), ("pico2", "rp2350", ABSOLUTE)] {
        // The second one replaces the first: it is a blob that was packed.
        let report = run("pack", 0, &["pack", text(&blob), "--board", name, "-o", text(&output)]);
        let package = Board::named(board).unwrap().package.unwrap();
        let address = u64::from(package.model_address);
        assert_eq!((&report["board"], &report["what"]), (&board.into(), &"model".into()));
        assert_eq!((&report["address"], &report["bytes"]), (&address.into(), &bytes.len().into()));
        assert_eq!(report["output_bytes"], fs::metadata(&output).unwrap().len());
        let flash = loaded(&output, family);
        assert!(bytes.iter().zip(address..).all(|(byte, at)| flash[&at] == *byte));
        let end = address + bytes.len().next_multiple_of(SECTOR as usize) as u64;
        assert_eq!(flash.keys().copied().collect::<Vec<_>>(), (address..end).collect::<Vec<_>>());
        assert!(flash.range(address + bytes.len() as u64..).all(|(_, &byte)| byte == 0xFF));
    }
}

#[test]
fn a_boot_loader_finds_a_program_in_the_flash_before() {
    let folder = tempfile::tempdir().unwrap();
    let (program, output) = (folder.path().join("program"), folder.path().join("firmware.uf2"));
    let segments = [(0x1000_0000, 0x1000_0000, vec![1; 300]), (0x2000_0000, 0x1000_2001, vec![2; 5000])];
    fs::write(&program, elf(&segments)).unwrap();
    for (board, family) in [("rp2040", RP2040), ("rp2350", RP2350_ARM_S)] {
        let pack = ["pack", text(&program), "--board", board, "-o", text(&output), "--force"];
        let report = run("pack", 0, &pack);
        assert_eq!((&report["what"], &report["bytes"]), (&"firmware".into(), &5300.into()));
        let flash = loaded(&output, family);
        assert_eq!(flash.len() as u64, 3 * SECTOR);
        for (_, at, bytes) in &segments {
            assert!(bytes.iter().zip(*at..).all(|(byte, at)| flash[&u64::from(at)] == *byte));
        }
        assert_eq!(flash.values().filter(|&&byte| byte != 0xFF).count(), 5300);
    }
}

#[test]
fn what_does_not_fit_or_has_no_loader_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (blob, output) = (blob(&folder, "f32"), at("model.uf2"));
    let refused = |file: &Path, board: &str| -> String {
        let error: Value = run("error", 2, &["pack", text(file), "--board", board, "-o", text(&output)]);
        assert!(!output.exists());
        error["error"]["message"].as_str().unwrap().to_owned()
    };
    let bytes = fs::metadata(&blob).unwrap().len();
    let have = Board::named("rp2040").unwrap().package.unwrap().model_bytes;
    let message = refused(&blob, "pico");
    let says =
        format!("the model's partition of rp2040 has {have} bytes, and the blob {bytes}: `emberlm plan --board rp2040");
    assert!(message.contains(&says), "{message}");
    for board in ["nrf52840", "stm32f405", "esp32c3", "mps2-an386"] {
        let message = refused(&blob, board);
        assert!(
            message.contains(&format!("{board} has no boot loader that takes UF2; these have: rp2040, rp2350")),
            "{message}"
        );
    }
    let program = at("program");
    for (address, len) in [(0x0800_0000, 4), (0x1003_FFFF, 2), (0x2000_0000, 8)] {
        fs::write(&program, elf(&[(address, address, vec![1; len])])).unwrap();
        let message = refused(&program, "pico");
        assert!(
            message.contains(&format!("{address:#010x}")) && message.contains("0x10000000 to 0x10040000"),
            "{message}"
        );
    }
    fs::write(&program, elf(&[])).unwrap();
    let message = refused(&program, "pico");
    assert!(message.contains("without a byte for the flash") || message.contains("without segments"), "{message}");
    let mut riscv = elf(&[(0x1000_0000, 0x1000_0000, vec![1; 4])]);
    riscv[MACHINE] = 243;
    fs::write(&program, riscv).unwrap();
    let message = refused(&program, "pico");
    assert!(message.contains("RISC-V") && message.contains("rp2040"), "{message}");
    fs::write(at("notes"), "the notes").unwrap();
    let message = refused(&at("notes"), "pico");
    assert!(message.contains("plain text") && message.contains("`emberlm convert`"), "{message}");
    let message = refused(&fixtures::bundled("shakespeare-char"), "pico");
    assert!(message.contains("`emberlm convert` makes a blob of it"), "{message}");
}

#[test]
fn what_is_there_is_replaced_only_if_it_is_a_blob_that_was_packed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (blob, output, program) = (blob(&folder, "q3"), at("out.uf2"), at("program"));
    fs::write(&program, elf(&[(0x1000_0000, 0x1000_0000, vec![1; 300])])).unwrap();
    let pack = |file: &Path, output: &Path, code: i32, more: &[&str]| {
        let schema = if code == 0 { "pack" } else { "error" };
        run(schema, code, &[&["pack", text(file), "--board", "pico", "-o", text(output)][..], more].concat())
    };
    fs::write(&output, "precious").unwrap();
    pack(&blob, &output, 2, &[]);
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    pack(&program, &output, 0, &["--force"]);
    // Programs as UF2 are anybody's.
    let error = pack(&blob, &output, 2, &[]);
    assert!(error["error"]["message"].as_str().unwrap().contains("a UF2 file"), "{error}");
    pack(&blob, &output, 0, &["--force"]);
    pack(&blob, &output, 0, &[]);
    let error = pack(&blob, &blob, 2, &["--force"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("which is read"), "{error}");
    let error = run("error", 2, &["eval", text(&output), "--prompt", "To be"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("a blob packed as UF2"), "{error}");
}

/// Where an ELF file says which machine it is for.
const MACHINE: usize = 18;

/// A program for Arm whose segments have addresses, those they are loaded to first, and bytes.
fn elf(segments: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    const HEADER: usize = 52;
    const PROGRAM_HEADER: usize = 32;
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let halves = |halves: &[u16]| halves.iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(halves(&[2, 40])); // a program, for Arm
    file.extend(words(&[1, 0, HEADER as u32, 0, 0]));
    file.extend(halves(&[HEADER as u16, PROGRAM_HEADER as u16, segments.len() as u16, 0, 0, 0]));
    let mut offset = HEADER + segments.len() * PROGRAM_HEADER;
    for (virtual_address, address, bytes) in segments {
        let len = bytes.len() as u32;
        file.extend(words(&[1, offset as u32, *virtual_address, *address, len, len, 5, 4]));
        offset += bytes.len();
    }
    segments.iter().for_each(|(_, _, bytes)| file.extend(bytes));
    file
}
