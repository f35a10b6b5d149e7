//! Checkpoints as PyTorch saved them: the blob of the same weights in safetensors, byte for byte, and what is refused.

mod common;

use std::fs;
use std::path::Path;

use common::{command, run};
use emberlm_tests::fixtures;
use safetensors::SafeTensors;
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The blob that a checkpoint becomes.
fn converted(folder: &Path, checkpoint: &Path, more: &[&str]) -> Vec<u8> {
    let blob = folder.join("blob");
    let args = [&["convert", text(checkpoint), "-o", text(&blob), "--calibrate", "none"], more].concat();
    run("convert", 0, &args);
    fs::read(blob).unwrap()
}

#[test]
fn what_pytorch_saved_becomes_the_blob_of_the_same_weights_in_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file, says_config) in [
        ("nanogpt-bias", "ckpt.pt", true),
        ("scratch-qkv-bias", "model.pth", false),
        ("scratch-qkv-bias", "checkpoint.pth", false),
        ("hf-bare-names-f16", "legacy.bin", false),
        ("hf-tied", "pytorch_model.bin", false),
    ] {
        let from = fixtures::path(name);
        let expected = converted(folder.path(), &from.join("model.safetensors"), &[]);
        // In a folder of its own there is no other file to read.
        let alone = tempfile::tempdir().unwrap();
        fs::copy(from.join(file), alone.path().join(file)).unwrap();
        if !says_config {
            fs::copy(from.join("config.json"), alone.path().join("config.json")).unwrap();
        }
        assert!(converted(folder.path(), &alone.path().join(file), &[]) == expected, "{name}/{file}");
        assert!(converted(folder.path(), alone.path(), &[]) == expected, "the folder of {name}/{file}");
        // Safetensors are read by choice.
        fs::write(alone.path().join("model.safetensors"), fs::read(from.join("model.safetensors")).unwrap()).unwrap();
        let config = from.join("config.json");
        assert!(converted(folder.path(), alone.path(), &["--config", text(&config)]) == expected);
    }
}

/// The export's tables have another rotary base than llama2.c trains with: frequencies, the self-test and checksums differ.
#[test]
fn a_training_run_of_llama2c_becomes_the_blob_of_its_export() {
    /// Checksums, three losses, and the frequencies of six pairs.
    const MOST: usize = 2 * 4 + 3 * 8 + 6 * 8;
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures::path("llama-tied");
    let expected = converted(folder.path(), &from.join("llama2c.bin"), &[]);
    let alone = tempfile::tempdir().unwrap();
    fs::copy(from.join("llama2c.pt"), alone.path().join("ckpt.pt")).unwrap();
    let found = converted(folder.path(), &alone.path().join("ckpt.pt"), &[]);
    assert_eq!(found.len(), expected.len());
    let differ = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
    assert!(differ <= MOST, "{differ} bytes differ");
}

#[test]
fn shards_of_pytorch_are_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures::path("hf-tied");
    let expected = converted(folder.path(), &from.join("model.safetensors"), &[]);
    let shards = tempfile::tempdir().unwrap();
    fs::copy(from.join("config.json"), shards.path().join("config.json")).unwrap();
    fs::copy(from.join("pytorch_model.bin"), shards.path().join("pytorch_model-00001-of-00001.bin")).unwrap();
    let file = fs::read(from.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let map: serde_json::Map<String, Value> =
        tensors.names().into_iter().map(|name| (name.to_owned(), "pytorch_model-00001-of-00001.bin".into())).collect();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    fs::write(shards.path().join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    assert!(converted(folder.path(), shards.path(), &[]) == expected);
}

/// What conversion says of a pickle.
fn refused(pickle: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.pt");
    fs::write(&file, pickle).unwrap();
    let blob = folder.path().join("blob");
    let output = command().args(["convert", text(&file), "-o", text(&blob), "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["error"]["kind"], "torch", "{value}");
    value["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_in_a_pickle_is_run_and_what_is_no_plain_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    // {"a": os.system("touch …")}
    let call = format!("touch {}", touched.display());
    let (start, end) = (b"\x80\x02}X\x01\0\0\0acposix\nsystem\n(X", b"tRs.");
    let message = refused(&[start.as_slice(), &(call.len() as u32).to_le_bytes(), call.as_bytes(), end].concat());
    assert!(message.contains("`a` is of posix.system, and nothing in a file is run"), "{message}");
    assert!(!touched.exists());
    // A call in the place of the whole, and a class where data belongs.
    let message = refused(b"\x80\x02cbuiltins\neval\n(X\x01\0\0\x001tR.");
    assert!(message.contains("holds no state dict"), "{message}");
    let message = refused(b"\x80\x02}X\x05\0\0\0modelcargparse\nNamespace\ns.");
    assert!(message.contains("`model` is of argparse.Namespace"), "{message}");
    // Plain data without tensors, and a pickle that is cut off.
    let message = refused(b"\x80\x02}X\x05\0\0\0epochK\x03s.");
    assert!(message.contains("holds no state dict: save `model.state_dict()`"), "{message}");
    let message = refused(b"\x80\x02}X\x05\0\0\0epo");
    assert!(message.contains("PyTorch checkpoint"), "{message}");
}

#[test]
fn damaged_files_of_pytorch_are_refused_wherever_they_are_cut() {
    let whole = fs::read(fixtures::path("nanogpt-bias").join("ckpt.pt")).unwrap();
    for share in 1..8 {
        refused(&whole[..whole.len() * share / 8]);
    }
    // A byte of the first tensor: its checksum tells.
    let mut damaged = whole.clone();
    let data = whole.windows(11).position(|window| window == b"ckpt/data/0").expect("the first tensor");
    damaged[data + 1024] ^= 1;
    refused(&damaged);
}
