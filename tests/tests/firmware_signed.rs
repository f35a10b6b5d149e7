//! The firmware that takes signed models only, on the emulated Cortex-M4F.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ed25519_compact::{KeyPair, Seed};
use emberlm::device::{Board, emulator};
use emberlm_tests::blob_writer::write_checksums;

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(1500);

/// Builds the program with the author's public key in it, or with none.
fn build(author: Option<&KeyPair>) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/signed");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&package).args(["build", "--locked", "--release", "--quiet"]).env_remove("EMBERLM_PUBLIC_KEY");
    cargo.args(["--target-dir", "target"]).env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTFLAGS");
    if let Some(author) = author {
        let digits: String = author.pk.iter().map(|byte| format!("{byte:02x}")).collect();
        cargo.env("EMBERLM_PUBLIC_KEY", digits);
    }
    assert!(cargo.status().unwrap().success());
    package.join("target/thumbv7em-none-eabihf/release/signed")
}

/// What the program prints with `partition` in flash, and whether it ended well.
fn run(program: &Path, partition: &[u8]) -> (Vec<String>, bool) {
    let board = Board::named("mps2-an386").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("partition");
    fs::write(&file, partition).unwrap();
    let command = emulator::command(board, program, &[(&file, board.model.address)]).unwrap();
    let run = emulator::run(command, PATIENT, |_| {}).unwrap();
    (run.lines, run.status.success())
}

#[test]
fn a_model_is_opened_only_with_its_authors_signature() {
    let blob = include_bytes!("../../firmware-example/tiny.blob");
    let [author, other] = [7, 8].map(|seed| KeyPair::from_seed(Seed::new([seed; 32])));
    let signed = [&blob[..], &author.sk.sign(blob, None)[..]].concat();

    let program = build(Some(&author));
    let (lines, is_well) = run(&program, &signed);
    assert!(is_well && lines[0] == "signature: ok", "{lines:?}");
    assert!(lines.contains(&"self_test: passed".into()) && lines.ends_with(&["done: ok".into()]), "{lines:?}");

    // Length, manifest, weights, the last CRC, both halves of the signature.
    let n = blob.len();
    let mut refused: Vec<Vec<u8>> = [14, 40, n / 2, n - 1, n, n + 63].map(|at| flipped(&signed, at)).into();
    let mut changed = flipped(&signed, n / 2);
    write_checksums(&mut changed[..n]);
    refused.push(changed);
    refused.push([&blob[..], &other.sk.sign(blob, None)[..]].concat());
    refused.push(blob.to_vec());
    refused.push(vec![0; 64]);
    for partition in &refused {
        let (lines, is_well) = run(&program, partition);
        assert!(!is_well && lines.len() == 2 && lines[0].starts_with("error: "), "{lines:?}");
        assert!(lines[0].contains("signature"), "{lines:?}");
    }

    let (lines, is_well) = run(&build(None), &signed);
    assert!(!is_well && lines[0].contains("built without EMBERLM_PUBLIC_KEY"), "{lines:?}");
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
