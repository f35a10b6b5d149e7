//! What is said of a file where something else is needed: what it is, and what to do with it.

mod common;

use std::fs;

use common::{command, run};
use emberlm_tests::fixtures;
use serde_json::Value;
use tempfile::TempDir;

const BOARD: &str = "mps2-an386";

/// A folder with one file or folder of each kind.
struct Kinds(TempDir);

const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548118077\n";
const ADAPTER_HEADER: &str = r#"{"base_model.model.transformer.h.0.attn.c_attn.lora_A.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#;

impl Kinds {
    fn new() -> Self {
        let kinds = Self(tempfile::tempdir().unwrap());
        let mut adapter = (ADAPTER_HEADER.len() as u64).to_le_bytes().to_vec();
        adapter.extend(ADAPTER_HEADER.bytes().chain([0; 4]));
        fs::create_dir(kinds.path("lora")).unwrap();
        fs::create_dir(kinds.path("torch")).unwrap();
        fs::create_dir(kinds.path("empty-folder")).unwrap();
        for (name, bytes) in [
            ("lfs.safetensors", LFS_POINTER.as_bytes()),
            ("lora/adapter_model.safetensors", &adapter),
            ("lora/adapter_config.json", br#"{"peft_type": "LORA", "r": 1}"#),
            ("unmerged.safetensors", &adapter),
            ("torch/pytorch_model.bin", b"PK\x03\x04"),
            ("pickle.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."),
            ("model.gguf", b"GGUF\x03\0\0\0"),
            ("model.gz", b"\x1f\x8b\x08\0\0\0\0\0"),
            ("page.safetensors", b"<!doctype html><html>Sign in</html>"),
            ("none.safetensors", b""),
            ("book.txt", b"It was the best of times"),
            ("ids.json", b"[1, 2, 3]"),
            ("config.json", br#"{"model_type": "gpt2", "n_embd": 8}"#),
            ("map.json", br#"{"description": "x", "orientation": "out_in", "tensors": {}}"#),
            ("noise.bin", b"\0\x01\x02\xff\xfe"),
            ("shard.records", b"{\"emberlm_records\":1,\"run\":"),
        ] {
            fs::write(kinds.path(name), bytes).unwrap();
        }
        let (checkpoint, blob) = (kinds.path("model"), kinds.path("blob"));
        fs::create_dir(&checkpoint).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixtures::path("hf-tied").join(file), kinds.0.path().join("model").join(file)).unwrap();
        }
        run("convert", 0, &["convert", &checkpoint, "-o", &blob, "--calibrate", "none"]);
        kinds
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// The message of a command that is refused.
fn refused(args: &[&str]) -> String {
    let output = command().args(args).arg("--json").output().unwrap();
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {value} {}", String::from_utf8_lossy(&output.stderr));
    value["error"]["message"].as_str().unwrap().to_owned()
}

fn says(args: &[&str], phrases: &[&str]) {
    let message = refused(args);
    assert!(phrases.iter().all(|phrase| message.contains(phrase)), "{args:?}: {message}");
}

#[test]
fn what_is_no_model_is_named_with_what_to_do() {
    let kinds = Kinds::new();
    let out = kinds.path("out");
    for (name, phrases) in [
        ("lfs.safetensors", ["a Git LFS pointer", "`git lfs pull`"]),
        ("lora", ["a LoRA adapter", "merge it into its base model"]),
        ("lora/adapter_model.safetensors", ["a LoRA adapter", "merge"]),
        ("lora/adapter_config.json", ["a LoRA adapter", "merge"]),
        ("unmerged.safetensors", ["a LoRA adapter", "merge"]),
        ("torch", ["a zip archive", "unpack it"]),
        ("pickle.pt", ["PyTorch checkpoint", "legacy format"]),
        ("model.gguf", ["a GGUF model", "made from"]),
        ("model.gz", ["a gzip archive", "unpack it"]),
        ("page.safetensors", ["a web page", "download"]),
        ("none.safetensors", ["it is empty", "did not end"]),
        ("book.txt", ["plain text", "`--text` takes it"]),
        ("ids.json", ["a list of token ids", "`--tokens` takes it"]),
        ("map.json", ["a name map", "`--layout` takes it"]),
        ("config.json", ["a model's config.json", "name the folder"]),
        ("shard.records", ["it is a file of records", "`emberlm merge` takes it"]),
    ] {
        let path = kinds.path(name);
        says(&["eval", &path, "--prompt", "a"], &phrases);
        says(&["convert", &path, "-o", &out], &phrases);
        says(&["plan", &path, "--board", "rp2040"], &phrases);
    }
    says(&["eval", &kinds.path("empty-folder"), "--prompt", "a"], &["holds neither model.safetensors nor"]);
    says(&["convert", &kinds.path("blob"), "-o", &out], &["it is a blob", "name the checkpoint that it was made from"]);
    says(&["inspect", &kinds.path("lfs.safetensors")], &["`git lfs pull`"]);
    says(&["inspect", &kinds.path("book.txt")], &["plain text"]);
    for verb in [["generate", "--prompt", "a"].as_slice(), &["device", "score", "--board", BOARD, "--prompt", "a"]] {
        for (name, phrase) in [
            ("model", "the folder of a checkpoint, and a blob is needed: `emberlm convert` makes a blob of it"),
            ("model/model.safetensors", "`emberlm convert` makes a blob of it"),
            ("lfs.safetensors", "`git lfs pull`"),
            ("model.gguf", "a GGUF model"),
            ("book.txt", "plain text"),
        ] {
            let path = kinds.path(name);
            let (head, tail) = verb.split_at(if verb[0] == "device" { 2 } else { 1 });
            says(&[head, &[&path], tail].concat(), &[phrase]);
        }
    }
}

#[test]
fn what_is_no_text_no_tokenizer_and_no_config_is_named() {
    let kinds = Kinds::new();
    let model = kinds.path("model");
    for (name, phrase) in [
        ("blob", "it is a blob, and a text in UTF-8 is needed"),
        ("model/model.safetensors", "it is a safetensors file, and a text"),
        ("model", "it is the folder of a checkpoint, and a text"),
        ("pickle.pt", "a PyTorch checkpoint"),
        ("lfs.safetensors", "`git lfs pull`"),
        ("model.gz", "unpack it first"),
        ("empty-folder", "name the files in it"),
        ("noise.bin", "not UTF-8"),
        ("shard.records", "it is a file of records, and a text in UTF-8 is needed: `emberlm merge` takes it"),
    ] {
        says(&["eval", &model, "--tokenizer", "gpt2", "--text", &kinds.path(name)], &[phrase]);
    }
    for (option, name, phrase) in [
        ("--tokens", "book.txt", "plain text, and a JSON list of token ids is needed: `--text` takes it"),
        ("--tokens", "blob", "it is a blob"),
        ("--tokens", "lfs.safetensors", "`git lfs pull`"),
    ] {
        says(&["eval", &model, option, &kinds.path(name)], &[phrase]);
    }
    for (option, name, phrase) in [
        ("--tokenizer", "blob", "it is a blob, and a tokenizer is needed"),
        ("--tokenizer", "lfs.safetensors", "`git lfs pull`"),
        ("--tokenizer", "model.gguf", "a GGUF model"),
        ("--config", "model/model.safetensors", "a safetensors file, and a model's config.json is needed"),
        ("--config", "lfs.safetensors", "`git lfs pull`"),
        ("--layout", "config.json", "a model's config.json, and a name map is needed"),
        ("--layout", "blob", "it is a blob"),
    ] {
        says(&["eval", &model, "--prompt", "a", option, &kinds.path(name)], &[phrase]);
    }
    for (name, phrase) in [
        ("blob", "it is a blob, and a file of records is needed: `emberlm eval --records` writes one"),
        ("lfs.safetensors", "`git lfs pull`"),
        ("none.safetensors", "it is empty"),
    ] {
        says(&["merge", &kinds.path(name)], &[phrase]);
    }
    says(&["init", "--config", &kinds.path("blob")], &["it is a blob, and a model's config.json is needed"]);
}

#[test]
fn a_program_for_another_machine_is_refused_before_the_board_starts() {
    let kinds = Kinds::new();
    let elf = |class: u8, machine: u16, kind: u16| {
        let mut header = vec![0; 64];
        header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1]);
        header[16..18].copy_from_slice(&kind.to_le_bytes());
        header[18..20].copy_from_slice(&machine.to_le_bytes());
        header[20..24].copy_from_slice(&1u32.to_le_bytes());
        let path = kinds.path(&format!("{class}-{machine}-{kind}.elf"));
        fs::write(&path, header).unwrap();
        path
    };
    const ARM: u16 = 40;
    const RISCV: u16 = 243;
    let score = |board: &str, firmware: &str, phrase: &str| {
        let blob = kinds.path("blob");
        let args = ["--board", board, "--firmware", firmware];
        let tokens = ["--tokens", &kinds.path("ids.json")];
        says(&[["device", "score", &blob].as_slice(), &args, &tokens].concat(), &[phrase]);
        for (verb, more) in [("score", tokens.as_slice()), ("console", &[])] {
            let output = command().args(["device", verb, &blob]).args(args).args(more).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
            assert!(error.contains(phrase), "{error}");
        }
    };
    score(BOARD, &kinds.path("absent"), "No such file");
    score(BOARD, &kinds.path("model"), "the folder of a checkpoint, and a program for the board");
    score(BOARD, &kinds.path("book.txt"), "plain text, and a program for the board");
    score(BOARD, &kinds.path("noise.bin"), "a file of no known kind, and a program for the board");
    score(BOARD, &kinds.path("none.safetensors"), "it is empty");
    score(BOARD, &elf(1, RISCV, 2), "runs programs of Arm with 32 bits");
    score("virt-rv32imac", &elf(1, ARM, 2), "runs programs of RISC-V with 32 bits");
    score(BOARD, &elf(1, ARM, 1), "an ELF file and no program");
    score(BOARD, &std::env::current_exe().unwrap().display().to_string(), "a program of 64 bits");
    let cut = kinds.path("cut.elf");
    fs::write(&cut, b"\x7fELF\x01\x01\x01").unwrap();
    score(BOARD, &cut, "a damaged ELF file");
}
