//! The smallest scoring program: the host's bits, what it takes, and that it fits memory that has only what the part has.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use elf::ElfBytes;
use elf::abi::{SHF_ALLOC, SHT_NOBITS};
use elf::endian::LittleEndian;
use elf::section::SectionHeader;
use emberlm::device::{Board, Family, Region, emulator, firmware};
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use emberlm_request::Header;
use emberlm_tests::fixtures;
use tempfile::TempDir;

const LEAN: Family = Family { package: "lean", emulator: "qemu-system-arm", options: &[] };

const KIB: u64 = 1 << 10;

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(1500);

/// Memory without end, for code as small as the compiler can make it.
const MPS2: Board = Board {
    name: "mps2-an386",
    about: "",
    family: &LEAN,
    machine: "mps2-an386",
    target: "thumbv7em-none-eabihf",
    rustflags: "",
    model: Region { address: 0x2100_0000, bytes: 12 << 20 },
    request: Region { address: 0x21C0_0000, bytes: 4 << 20 },
};

/// The same for code as fast as it can.
const FAST: Board = Board { rustflags: "-Copt-level=2", ..MPS2 };

/// On the STM32F405 of the Netduino Plus 2, which has the same memory and more.
const STM32F411: Board = Board {
    name: "stm32f411",
    machine: "netduinoplus2",
    model: Region { address: 0x0800_DC00, bytes: 456 * KIB },
    request: Region { address: 0x0807_FC00, bytes: KIB },
    ..MPS2
};

/// On MPS2, which has memory at the same addresses.
const NRF52832: Board = Board {
    name: "nrf52832",
    model: Region { address: 0x0000_DC00, bytes: 456 * KIB },
    request: Region { address: 0x0007_FC00, bytes: KIB },
    ..MPS2
};

/// As [`NRF52832`]'s flash.
const STM32F405: Board = Board { name: "stm32f405", ..NRF52832 };

/// What the program printed, and the bytes of flash that it fills.
struct Scored {
    printed: BTreeMap<String, u64>,
    flash: u64,
}

/// One window of `n_ctx` inputs, scored with `shakespeare-char` to the host's bits.
fn score(board: &Board, weights: &[&str], n_ctx: usize) -> Scored {
    let folder = tempfile::tempdir().unwrap();
    let blob = convert(&folder, weights);
    let row: Vec<TokenId> = (0..=n_ctx as TokenId).map(|i| i * 31 % 65).collect();
    let (run, flash) = run(board, "score", &folder, &blob, &row, n_ctx);
    assert!(run.status.success(), "{run:?}");
    let printed = run.lines.iter().filter_map(|line| line.split_once(": "));
    let printed: BTreeMap<String, u64> =
        printed.map(|(key, value)| (key.to_owned(), u64::from_str_radix(value, 16).unwrap())).collect();
    assert_eq!(printed["nll_bits"], host_bits(&folder, &blob, &row, n_ctx), "{printed:?}");
    assert_eq!(printed["tokens_scored"], n_ctx as u64);
    println!("{}: {flash} bytes of flash, {printed:?}", board.name);
    Scored { printed, flash }
}

/// `shakespeare-char`, uncalibrated, its matrices and vectors in these formats.
fn convert(folder: &TempDir, weights: &[&str]) -> PathBuf {
    convert_checkpoint(folder, &fixtures::bundled("shakespeare-char"), weights)
}

fn convert_checkpoint(folder: &TempDir, checkpoint: &Path, weights: &[&str]) -> PathBuf {
    let blob = folder.path().join("blob");
    let paths = ["convert", checkpoint.to_str().unwrap(), "-o", blob.to_str().unwrap(), "--calibrate", "none"];
    common::run("convert", 0, &[&paths, weights].concat());
    blob
}

fn run(
    board: &Board,
    program: &str,
    folder: &TempDir,
    blob: &Path,
    row: &[TokenId],
    n_ctx: usize,
) -> (emulator::Run, u64) {
    board.check_blob(blob).unwrap();
    let request = request(folder, board, row, n_ctx);
    let program = firmware::build(board, program).unwrap();
    let loads = [(blob, board.model.address), (&*request, board.request.address)];
    let run = emulator::run(emulator::command(board, &program, &loads).unwrap(), PATIENT, |_| {}).unwrap();
    (run, flash_bytes(&program))
}

/// Code, constants and the variables' first values.
fn flash_bytes(program: &Path) -> u64 {
    let file = fs::read(program).unwrap();
    let elf = ElfBytes::<LittleEndian>::minimal_parse(&file).unwrap();
    let is_there =
        |section: &SectionHeader| section.sh_flags & u64::from(SHF_ALLOC) != 0 && section.sh_type != SHT_NOBITS;
    elf.section_headers().unwrap().iter().filter(is_there).map(|section| section.sh_size).sum()
}

fn request(folder: &TempDir, board: &Board, row: &[TokenId], n_ctx: usize) -> PathBuf {
    let header = Header { n_ctx, convention: Convention::Disjoint, kv_type: KvType::I8, n_bytes: None };
    let rows = [row];
    let mut bytes = vec![0; emberlm_request::encoded_len(&rows).unwrap()];
    let n = emberlm_request::encode(&mut bytes, &header, &rows).unwrap();
    assert!(n as u64 <= board.request.bytes);
    let path = folder.path().join("request");
    fs::write(&path, &bytes[..n]).unwrap();
    path
}

fn host_bits(folder: &TempDir, blob: &Path, row: &[TokenId], n_ctx: usize) -> u64 {
    let tokens = folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(&[row]).unwrap()).unwrap();
    let (blob, tokens, n_ctx) = (blob.to_str().unwrap(), tokens.to_str().unwrap(), n_ctx.to_string());
    let report = common::run("eval", 0, &["eval", blob, "--tokens", tokens, "--kv", "i8", "--n-ctx", &n_ctx]);
    u64::from_str_radix(report["nll_bits"].as_str().unwrap(), 16).unwrap()
}

#[test]
fn flash_and_ram_keep_their_limits() {
    // One after another: both are the same file.
    for (board, most_flash) in [(&FAST, 48 * KIB), (&MPS2, 32 * KIB)] {
        let Scored { printed, flash } = score(board, &["--weights", "q8"], 128);
        let ram = printed["ram_bytes"] + printed["stack_bytes"] - printed["kv_bytes"];
        println!("{ram} bytes of RAM besides the KV cache");
        assert!(ram <= 8 * KIB && flash <= most_flash, "{ram} {flash}");
    }
    refuses_what_it_leaves_out();
}

fn refuses_what_it_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |blob: &Path| {
        let (run, _) = run(&MPS2, "score", &folder, blob, &[1, 2, 3], 128);
        !run.status.success() && run.lines.is_empty()
    };
    for (weights, activations) in [("q4", "i16"), ("q5", "i16"), ("f32", "i16"), ("q8", "i8"), ("q8", "f32")] {
        let blob = convert(&folder, &["--weights", weights, "--activations", activations]);
        assert!(refused(&blob), "{weights} {activations}");
    }
    let erf = convert_checkpoint(&folder, &with_erf(&folder), &["--weights", "q8"]);
    assert!(refused(&erf));
}

/// `shakespeare-char` with the other form of GELU.
fn with_erf(folder: &TempDir) -> PathBuf {
    let (model, other) = (fixtures::bundled("shakespeare-char"), folder.path().join("erf"));
    fs::create_dir(&other).unwrap();
    for file in ["model.safetensors", "chars.json"] {
        fs::copy(model.join(file), other.join(file)).unwrap();
    }
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    assert!(config.contains("\"gelu_new\""));
    fs::write(other.join("config.json"), config.replace("\"gelu_new\"", "\"gelu\"")).unwrap();
    other
}

/// What fits the three parts.
const SMALL: [&str; 2] = ["--weights", "q4+vectors=f16"];

#[test]
fn a_full_window_in_512_kib_of_flash_and_128_kib_of_ram() {
    score(&STM32F411, &SMALL, 128);
}

#[test]
fn a_shorter_window_in_64_kib_of_ram() {
    score(&NRF52832, &SMALL, 72);
}

#[test]
fn a_full_context_is_generated_in_two_memories_that_do_not_touch() {
    let folder = tempfile::tempdir().unwrap();
    let blob = convert(&folder, &SMALL);
    let prompt = "ROMEO:".bytes().map(|byte| if byte == b':' { 10 } else { TokenId::from(byte - b'A') + 13 });
    let (run, _) = run(&STM32F405, "generate", &folder, &blob, &prompt.collect::<Vec<_>>(), 128);
    assert!(run.status.success(), "{run:?}");
    let tokens = run.lines.iter().filter_map(|line| u64::from_str_radix(line.strip_prefix("token: ")?, 16).ok());
    let greedy = ["--prompt", "ROMEO:", "--temperature", "0", "--kv", "i8"];
    let host = common::run("generate", 0, &[&["generate", blob.to_str().unwrap()], &greedy[..]].concat());
    let host: Vec<u64> = host["tokens"].as_array().unwrap().iter().filter_map(|token| token.as_u64()).collect();
    assert_eq!(host.len(), 128 - 6 + 1);
    assert_eq!(tokens.collect::<Vec<_>>(), host);
    println!("{:?}", run.lines.get(host.len()..));
}
