//! The firmware on the emulated Cortex-M4F: the host's bits, whatever the model, its formats and the windows.

mod common;
mod device;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use device::{blob, blob_for, check_kernel, check_on_board, run_program};
use emberlm::device::Board;
use emberlm_core::config::TokenId;
use emberlm_core::kv_cache::KvType;
use emberlm_tests::fixtures;

fn board() -> &'static Board {
    Board::named("mps2-an386").unwrap()
}

/// 16 full windows of the bundled text.
fn bundled_model(name: &str, weights: &str, most_loss: f64) {
    const N_CTX: usize = 128;
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(&folder, &fixtures::bundled(name), weights);
    let text: String = fixtures::as_you_like_it().chars().take(10_000).collect();
    let all =
        common::run("tokenize", 0, &["tokenize", &text, "--tokenizer", fixtures::bundled(name).to_str().unwrap()]);
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
    let mut numbers = BTreeSet::new();
    for weights in ["f16", "q8", "q6", "q5", "q4", "q3"] {
        for activations in ["i16", "i8", "f32"] {
            let blob = blob_for(&folder, &fixtures::path(name), weights, activations);
            let report = check_on_board(board(), &blob, &rows, &[]);
            assert_eq!(report["activations"], activations, "{weights}");
            let inspected = common::run("inspect", 0, &["inspect", blob.to_str().unwrap()]);
            assert_eq!(report["model_crc32"], inspected["model_crc32"], "{weights} {activations}");
            assert!(
                numbers.insert(report["model_crc32"].to_string()),
                "{weights} {activations} have a number of their own"
            );
        }
    }
}

#[test]
fn the_boards_kernel_gives_the_portable_kernels_bits() {
    check_kernel(board());
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

#[test]
fn a_program_that_includes_its_model_passes_the_self_test() {
    let lines = run_program(board(), "included");
    assert!(lines.iter().any(|line| line == "self_test: passed"), "{lines:?}");
}

#[test]
fn the_included_model_is_what_convert_makes_of_its_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let made = fs::read(blob(&folder, &fixtures::path("hf-gelu-erf"), "q8")).unwrap();
    let included = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/tiny.blob")).unwrap();
    assert!(
        made == included,
        "emberlm convert tests/fixtures/hf-gelu-erf -o firmware-example/tiny.blob --calibrate none makes another"
    );
}
