//! The firmware on the emulated Cortex-M4F: what becomes of everything that goes wrong.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::run;
use emberlm::device::{Board, DeviceError, DeviceReport, Emulated, Job, Link, Medium, firmware, score};
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_core::window::Convention;
use emberlm_request::Header;
use emberlm_tests::fixtures;
use tempfile::TempDir;

const BOARD: &str = "mps2-an386";

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(1500);

fn board() -> &'static Board {
    Board::named(BOARD).unwrap()
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
        let (checkpoint, blob) = (fixtures::path("hf-tied"), folder.path().join("tiny.blob"));
        let paths = ["convert", checkpoint.to_str().unwrap(), "-o", blob.to_str().unwrap()];
        run("convert", 0, &[paths.as_slice(), &["--weights", "q8", "--calibrate", "none"]].concat());
        Self { folder, blob, rows: fixtures::golden("hf-tied").tokens }
    }

    /// The board's answer to a request for `rows` with a context of `n_ctx`.
    fn score(&self, blob: &Path, rows: &[&[TokenId]], n_ctx: usize) -> Result<DeviceReport, DeviceError> {
        let header = Header { n_ctx, convention: Convention::Disjoint, kv_type: KvType::F32, n_bytes: None };
        let emulated = Emulated { board: board(), blob, medium: Medium::Memory, firmware: None };
        score(&Job { link: Link::Emulator(emulated), header, rows, timeout: PATIENT }, |_| {})
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
    let error = run("error", 2, &["device", "score", blob.to_str().unwrap(), "--board", BOARD, "--prompt", "x"]);
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
        let error = run("error", 1, &tiny.args(&tiny.blob, tokens, &more));
        assert_eq!(error["error"]["kind"], kind, "{error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(reason), "{error}");
    }
}

#[test]
fn a_program_that_is_none_is_refused_before_the_start() {
    let tiny = Tiny::new();
    let tokens = tiny.folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(&tiny.rows[0][..2]).unwrap()).unwrap();
    let tokens = tokens.to_str().unwrap();
    let no_program = ["--firmware", tokens, "--check"];
    assert_eq!(run("error", 2, &tiny.args(&tiny.blob, tokens, &no_program))["error"]["kind"], "file_kind");
}

#[test]
fn other_bits_fail_the_check() {
    let tiny = Tiny::new();
    let tokens = tiny.folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(&tiny.rows[0][..7]).unwrap()).unwrap();
    let liar = firmware::build(board(), "misbehave").unwrap();
    let more = ["--n-ctx", "6", "--firmware", liar.to_str().unwrap()];
    let args = tiny.args(&tiny.blob, tokens.to_str().unwrap(), &more);
    let report = run("device_score", 1, &[args.as_slice(), &["--check"]].concat());
    assert_eq!((&report["equals_host"], &report["nll_bits"]), (&false.into(), &"0123456789abcdef".into()));
    assert_ne!(report["host_nll_bits"], report["nll_bits"]);
    assert_eq!(run("device_score", 0, &args).get("equals_host"), None);
}
