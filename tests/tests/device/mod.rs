//! Scoring on a board, with the host's bits to compare.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emberlm::device::{Board, emulator, firmware};
use emberlm_core::config::TokenId;
use emberlm_core::kernel::Portable;
use emberlm_core::kernel::conformance::{self, Counts, Random};
use emberlm_request::report::key;
use serde_json::Value;
use tempfile::TempDir;

use crate::common;

/// Far beyond what any run takes on a busy machine.
pub const PATIENT: Duration = Duration::from_secs(1500);

/// Converts the checkpoint in `folder`, uncalibrated: that takes longest, and its outcome may be another on another
/// processor.
pub fn blob_for(into: &TempDir, folder: &Path, weights: &str, activations: &str) -> PathBuf {
    let blob = into.path().join(format!("{weights}-{activations}.blob"));
    let paths = ["convert", folder.to_str().unwrap(), "-o", blob.to_str().unwrap()];
    let choices = ["--weights", weights, "--activations", activations, "--calibrate", "none"];
    common::run("convert", 0, &[&paths[..], &choices].concat());
    blob
}

/// With 16-bit activations.
pub fn blob(into: &TempDir, folder: &Path, weights: &str) -> PathBuf {
    blob_for(into, folder, weights, "i16")
}

/// Scores `rows` of the blob on the board and on the host, and compares.
pub fn check_on_board(board: &Board, blob: &Path, rows: &[Vec<TokenId>], more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.json");
    fs::write(&tokens, serde_json::to_vec(rows).unwrap()).unwrap();
    let (blob, tokens, patient) = (blob.to_str().unwrap(), tokens.to_str().unwrap(), PATIENT.as_secs().to_string());
    let args = ["device", "score", blob, "--board", board.name, "--tokens", tokens, "--check", "--timeout", &patient];
    let report = common::run("device_score", 0, &[&args, more].concat());
    assert_eq!(report["equals_host"], true, "{report}");
    assert_eq!(report["nll_bits"], report["host_nll_bits"], "{report}");
    report
}

/// Runs the board's kernel through as much of the conformance suite as it has.
pub fn check_kernel(board: &Board) {
    let lines = run_program(board, "kernels");
    let Counts { products, heads, vectors } = conformance::check(&Portable, &mut Random::default()).unwrap();
    for (key, count) in [(key::SAME_PRODUCTS, products), (key::SAME_HEADS, heads), (key::SAME_VECTORS, vectors)] {
        let line = format!("{key}: {count}");
        assert!(lines.contains(&line), "{line} is not among {lines:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with(key::MISFITS)), "{lines:?}");
}

/// Builds a program of the board's package, runs it to its good end without a model, and returns what it printed.
pub fn run_program(board: &Board, program: &str) -> Vec<String> {
    let program = firmware::build(board, program).unwrap();
    let run = emulator::run(emulator::command(board, &program, &[]).unwrap(), PATIENT, |_| {}).unwrap();
    assert!(run.status.success(), "{run:?}");
    assert_eq!(run.lines.last().map(String::as_str), Some("done: ok"), "{run:?}");
    run.lines
}
