//! The firmware on the emulated Cortex-M4F: the host's bits, and what becomes of everything that goes wrong.

mod common;
mod device;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use device::{PATIENT, blob, blob_for, check_on_board, run_program};
use emberlm::device::firmware;
use emberlm::device::{Board, DeviceError, DeviceReport, Job, Medium, score};
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use emberlm_request::Header;
use emberlm_tests::fixtures;
use serde_json::Value;
use tempfile::TempDir;

const BOARD: &str = "mps2-an386";

/// Runs the command line with `--json` and returns its one object.
fn emberlm(code: i32, args: &[&str]) -> Value {
    let output = common::command().args(args).arg("--json").assert().code(code).get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn board() -> &'static Board {
    Board::named(BOARD).unwrap()
}

/// 16 full windows of the bundled text.
fn bundled_model(name: &str, weights: &str, most_loss: f64) {
    const N_CTX: usize = 128;
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, &fixtures::bundled(name), weights);
    let text: String = fixtures::as_you_like_it().chars().take(10_000).collect();
    let all = emberlm(0, &["tokenize", &text, "--tokenizer", fixtures::bundled(name).to_str().unwrap()]);
    let all: Vec<TokenId> = serde_json::from_value(all["ids"].clone()).unwrap();
    let report = check_on_board(board(), &blob, &[all[..=16 * N_CTX].to_vec()], &["--convention", "disjoint"]);
    assert_eq!(report["tokens_scored"], 16 * N_CTX);
    assert_eq!(report["tokens_skipped"], 1);
    // A bound that a model which reads its weights wrongly does not meet.
    assert!(report["loss"].as_f64().unwrap() < most_loss, "{report}");
    assert!(report["bits_per_byte"].is_number(), "{report}");
}

#[test]
fn shakespeare_char_f32_gives_the_hosts_bits() {
    bundled_model("shakespeare-char", "f32", 2.0);
}

#[test]
fn shakespeare_char_q8_gives_the_hosts_bits() {
    bundled_model("shakespeare-char", "q8", 2.0);
}

#[test]
fn shakespeare_bpe512_f32_gives_the_hosts_bits() {
    bundled_model("shakespeare-bpe512", "f32", 3.8);
}

#[test]
fn shakespeare_bpe512_q8_gives_the_hosts_bits() {
    bundled_model("shakespeare-bpe512", "q8", 3.8);
}

#[test]
fn every_fixture_gives_the_hosts_bits() {
    for name in fixtures::NAMES {
        let (folder, rows) = (tempfile::tempdir().unwrap(), fixtures::golden(name).tokens);
        for weights in ["f32", "q8"] {
            let report = check_on_board(board(), &blob(&folder, &fixtures::path(name), weights), &rows, &[]);
            let targets: usize = rows.iter().map(|row| row.len() - 1).sum();
            assert_eq!(report["tokens_scored"], targets, "{name} {weights}");
        }
    }
}

#[test]
fn every_format_and_activation_gives_the_hosts_bits() {
    // Widths of 60 and 100: whole groups of 32 and ragged ends.
    let (name, folder) = ("hf-untied-ragged", tempfile::tempdir().unwrap());
    let rows = fixtures::golden(name).tokens;
    for weights in ["f16", "q8", "q6", "q5", "q4", "q3"] {
        for activations in ["i16", "i8", "f32"] {
            let blob = blob_for(&folder, &fixtures::path(name), weights, activations);
            let report = check_on_board(board(), &blob, &rows, &[]);
            assert_eq!(report["activations"], activations, "{weights}");
        }
    }
}

#[test]
fn the_boards_kernel_gives_the_portable_kernels_bits() {
    let lines = run_program(board(), "kernels");
    assert!(lines.iter().any(|line| line == "products_with_the_portable_bits: 15360"), "{lines:?}");
}

#[test]
fn every_kv_cache_gives_the_hosts_bits() {
    // The first row is longer than a block of 8-bit attention.
    let (folder, rows) = (tempfile::tempdir().unwrap(), vec![(0..40).collect::<Vec<_>>(), vec![5, 3, 9]]);
    let blob = blob(&folder, &fixtures::bundled("shakespeare-char"), "q8");
    let reports = KvType::ALL.map(|kv_type| {
        let report = check_on_board(board(), &blob, &rows, &["--kv", kv_type.name()]);
        assert_eq!(report["kv"], kv_type.name());
        (report["nll_bits"].to_string(), report["ram_bytes"].as_u64().unwrap())
    });
    assert!(reports.is_sorted_by(|(bits, ram), (other_bits, less)| bits != other_bits && ram > less), "{reports:?}");
}

#[test]
fn a_model_on_a_card_gives_the_hosts_bits_and_is_read_once_a_window() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Vec<TokenId>> = fixtures::golden("hf-tied").tokens.iter().map(|row| row[..7].to_vec()).collect();
    for weights in ["f32", "q4"] {
        let blob = blob(&folder, &fixtures::path("hf-tied"), weights);
        let bytes = fs::metadata(&blob).unwrap().len();
        let read = check_on_board(board(), &blob, &rows, &["--card"])["bytes_read"].as_u64().unwrap();
        let windows = rows.len() as u64;
        assert!((windows * bytes * 4 / 5..windows * bytes * 6 / 5).contains(&read), "{weights}: {read} of {bytes}");
    }
}

#[test]
fn every_convention_gives_the_hosts_bits() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, &fixtures::path("hf-tied"), "q8");
    let row = fixtures::golden("hf-tied").tokens.concat();
    let n_tokens = row.len();
    for more in [
        ["--convention", "disjoint", "--n-ctx", "5"].as_slice(),
        &["--convention", "sliding", "--stride", "3", "--n-ctx", "7"],
        &["--convention", "llamacpp", "--n-ctx", "8"],
    ] {
        let report = check_on_board(board(), &blob, std::slice::from_ref(&row), more);
        assert_eq!(report["convention"], more[1]);
        let (scored, skipped) = (&report["tokens_scored"], &report["tokens_skipped"]);
        assert_eq!(scored.as_u64().unwrap() + skipped.as_u64().unwrap(), n_tokens as u64, "{report}");
    }
}

/// A tiny model for what goes wrong.
struct Tiny {
    folder: TempDir,
    blob: PathBuf,
    rows: Vec<Vec<TokenId>>,
}

impl Tiny {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blob = blob(&folder, &fixtures::path("hf-tied"), "q8");
        Self { folder, blob, rows: fixtures::golden("hf-tied").tokens }
    }

    /// The board's answer to a request for `rows` with a context of `n_ctx`.
    fn score(&self, blob: &Path, rows: &[&[TokenId]], n_ctx: usize) -> Result<DeviceReport, DeviceError> {
        let header = Header { n_ctx, convention: Convention::Disjoint, kv_type: KvType::F32, n_bytes: None };
        score(
            &Job { board: board(), blob, medium: Medium::Memory, header, rows, firmware: None, timeout: PATIENT },
            |_| {},
        )
    }

    /// What the board says of the model after `change`.
    fn changed(&self, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = fs::read(&self.blob).unwrap();
        change(&mut bytes);
        let blob = self.folder.path().join("changed.blob");
        fs::write(&blob, bytes).unwrap();
        reported(self.score(&blob, &[&self.rows[0]], 4))
    }

    /// The command line's arguments for the model, with `more`.
    fn args<'a>(&'a self, blob: &'a Path, tokens: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["device", "score", blob.to_str().unwrap(), "--board", BOARD, "--tokens", tokens];
        [&args, more].concat()
    }
}

fn reported(answer: Result<DeviceReport, DeviceError>) -> String {
    match answer {
        Err(DeviceError::Reported(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_board_refuses_a_corrupt_model() {
    let tiny = Tiny::new();
    assert!(tiny.changed(|blob| blob[0] ^= 1).contains("not an emberlm blob"));
    assert!(tiny.changed(|blob| blob[40] ^= 1).contains("CRC-32"));
    let in_the_weights = tiny.changed(|blob| {
        let middle = blob.len() / 2;
        blob[middle] ^= 0x10;
    });
    assert!(in_the_weights.contains("CRC-32"), "{in_the_weights}");
}

#[test]
fn the_board_refuses_a_request_that_its_model_cannot_serve() {
    let tiny = Tiny::new();
    let row = &tiny.rows[0];
    let no_token = reported(tiny.score(&tiny.blob, &[&row[..3], &[row[0], 60_000]], 4));
    assert!(no_token.contains("60000") && no_token.contains("row 1"), "{no_token}");
    let long = reported(tiny.score(&tiny.blob, &[row], 4096));
    assert!(long.contains("need 4096"), "{long}");
}

#[test]
fn a_blob_beyond_the_partition_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("large.blob");
    File::create(&blob).unwrap().set_len(board().model.bytes + 1).unwrap();
    let error = emberlm(2, &["device", "score", blob.to_str().unwrap(), "--board", BOARD, "--prompt", "x"]);
    assert_eq!(error["error"]["kind"], "does_not_fit");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("need 12582913 bytes, have 12582912"), "{message}");
}

#[test]
fn every_bad_end_is_a_failed_check_with_its_reason() {
    let tiny = Tiny::new();
    let tokens = tiny.folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(&tiny.rows[0][..2]).unwrap()).unwrap();
    let tokens = tokens.to_str().unwrap();
    let misbehave = firmware::build(board(), "misbehave").unwrap();
    for (n_ctx, kind, reason) in [
        ("1", "panic", "asked to at src/bin/misbehave.rs"),
        ("2", "fault", "called from"),
        ("3", "device_output", "it is empty"),
        ("4", "device_output", "does not end with done: ok"),
        ("5", "time_out", "not done after 1 s"),
    ] {
        let limit = if kind == "time_out" { "1" } else { "600" };
        let more = ["--n-ctx", n_ctx, "--timeout", limit, "--firmware", misbehave.to_str().unwrap(), "--check"];
        let error = emberlm(1, &tiny.args(&tiny.blob, tokens, &more));
        assert_eq!(error["error"]["kind"], kind, "{error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(reason), "{error}");
    }
    let no_program = ["--firmware", tokens, "--check"];
    assert_eq!(emberlm(1, &tiny.args(&tiny.blob, tokens, &no_program))["error"]["kind"], "device_output");
}

#[test]
fn a_program_that_includes_its_model_passes_the_self_test() {
    let lines = run_program(board(), "included");
    assert!(lines.iter().any(|line| line == "self_test: passed"), "{lines:?}");
}

#[test]
fn the_included_model_is_what_convert_makes_of_its_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let made = fs::read(blob(&folder, &fixtures::path("hf-gelu-erf"), "q8")).unwrap();
    let included = fs::read(firmware_example().join("tiny.blob")).unwrap();
    assert!(
        made == included,
        "emberlm convert tests/fixtures/hf-gelu-erf -o firmware-example/tiny.blob --calibrate none makes another"
    );
}

#[test]
fn other_bits_fail_the_check() {
    let tiny = Tiny::new();
    let tokens = tiny.folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(&tiny.rows[0][..7]).unwrap()).unwrap();
    let liar = firmware::build(board(), "misbehave").unwrap();
    let more = ["--n-ctx", "6", "--firmware", liar.to_str().unwrap()];
    let args = tiny.args(&tiny.blob, tokens.to_str().unwrap(), &more);
    let report = emberlm(1, &[args.as_slice(), &["--check"]].concat());
    assert_eq!((&report["equals_host"], &report["nll_bits"]), (&false.into(), &"0123456789abcdef".into()));
    assert_ne!(report["host_nll_bits"], report["nll_bits"]);
    assert_eq!(emberlm(0, &args).get("equals_host"), None);
}

fn firmware_example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example")
}
