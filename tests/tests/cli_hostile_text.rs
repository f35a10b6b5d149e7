//! Control characters, marks of direction and endless values, from every place that text comes from: nothing of them
//! reaches a terminal raw, and no message is longer than people read.

mod common;

use std::fs;
use std::process::Output;

use common::{command, run};
use emberlm_tests::altered::Altered;
use emberlm_tests::fixtures;
use serde_json::{Value, json};

/// What a terminal acts on, what turns the text around it, and what nobody sees.
const EVIL: &str = "\x1b[2J\x1b]0;x\x07\u{9b}31m\u{7f}a\rb\nc\u{85}\u{202e}txt\u{2066}x\u{2069}\u{200f}\u{2028}\u{8}";

fn is_raw(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Runs the command, plainly and for JSON; nothing that it prints acts on a terminal, and errors are short.
fn run_plain(args: &[&str], code: i32) -> [Output; 2] {
    [args.to_vec(), [args, &["--json"]].concat()].map(|args| {
        let output = command().args(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        check(&args, &output, code == 2);
        output
    })
}

fn check(args: &[&str], output: &Output, is_error: bool) {
    for stream in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(stream).unwrap();
        assert!(!text.contains(is_raw), "{args:?}: {text:?}");
        assert!(!is_error || text.len() < 4000, "{args:?}: {} bytes", text.len());
    }
    if is_error && args.contains(&"--json") {
        common::check("error", &serde_json::from_slice(&output.stdout).unwrap());
    }
}

/// The error's line on standard error.
fn message(outputs: &[Output; 2]) -> String {
    let stderr = String::from_utf8(outputs[0].stderr.clone()).unwrap();
    stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{stderr}")).to_owned()
}

fn evil() -> [String; 2] {
    [EVIL.into(), "\u{1b}[31m".repeat(20_000)]
}

const TOKENS: &str = "[[1, 2, 3, 4]]";

#[test]
fn names_of_tensors() {
    for evil in evil() {
        let (model, name) = (Altered::of("hf-tied"), format!("h.{evil}"));
        let tokens = model.write("tokens.json", TOKENS);
        model.add_empty(&name);
        let error = message(&run_plain(&["eval", model.arg(), "--tokens", tokens.to_str().unwrap()], 2));
        assert!(error.contains("is left over"), "{error}");
        let lost = Altered::of("hf-tied");
        lost.rename(|tensor| if tensor == "transformer.wte.weight" { name.clone() } else { tensor.into() });
        run_plain(&["convert", lost.arg(), "-o", "never.blob"], 2);
        let unknown = Altered::of("hf-tied");
        unknown.rename(|tensor| format!("{evil}{tensor}"));
        run_plain(&["plan", unknown.arg(), "--board", "all"], 2);
    }
}

#[test]
fn shard_indices_configs_and_name_maps() {
    for evil in evil() {
        let model = Altered::of("hf-tied");
        let tokens = model.write("tokens.json", TOKENS);
        let tokens = tokens.to_str().unwrap();
        for map in [json!({"wte.weight": evil}), json!({ &evil: "model.safetensors" })] {
            let index = model.write("x.safetensors.index.json", json!({ "weight_map": map }).to_string());
            run_plain(&["eval", index.to_str().unwrap(), "--tokens", tokens], 2);
        }
        fs::remove_file(model.path().join("x.safetensors.index.json")).unwrap();

        let unknown = Altered::of("hf-tied");
        unknown.config(|config| {
            config.insert(evil.clone(), json!(1));
        });
        run_plain(&["eval", unknown.arg(), "--tokens", tokens], 0);
        for key in ["activation_function", "model_type", "n_layer", "rope_scaling"] {
            let faulty = Altered::of("hf-tied");
            faulty.config(|config| {
                config.insert(key.into(), json!(evil));
            });
            let error = message(&run_plain(&["eval", faulty.arg(), "--tokens", tokens], 2));
            assert!(error.contains(key), "{error}");
        }

        for map in [
            json!({ &evil: 1 }),
            json!({"description": evil, "orientation": evil, "tensors": {}}),
            json!({"description": "", "orientation": "out_in", "tensors": { &evil: evil }}),
            json!({"description": "", "orientation": "out_in", "tensors": {"wte.weight": format!("{{layer}}{evil}")}}),
        ] {
            let map = model.write("map.json", map.to_string());
            run_plain(&["eval", model.arg(), "--tokens", tokens, "--layout", map.to_str().unwrap()], 2);
        }
    }
}

#[test]
fn files_of_ids_and_tokenizers() {
    for evil in evil() {
        let model = Altered::of("hf-tied");
        for ids in [json!([evil]), json!([[1], evil]), json!({ &evil: evil }), json!([[1, { &evil: 1 }]])] {
            let tokens = model.write("tokens.json", ids.to_string());
            run_plain(&["eval", model.arg(), "--tokens", tokens.to_str().unwrap()], 2);
        }
        let bpe = |model: Value| json!({"added_tokens": [], "model": model});
        for tokenizer in [
            json!([evil, evil]),
            bpe(json!({"type": evil, "vocab": {}})),
            bpe(json!({"type": "BPE", "vocab": { &evil: 0 }, "merges": [evil]})),
            bpe(json!({"type": "WordLevel", "vocab": { &evil: 0 }, "unk_token": evil})),
        ] {
            let path = model.write("tokenizer.json", tokenizer.to_string());
            run_plain(&["tokenize", "text", "--tokenizer", path.to_str().unwrap()], 2);
        }
    }
}

#[test]
fn words_of_the_command_line() {
    let model = Altered::of("hf-tied");
    for evil in evil() {
        let evil = evil.as_str();
        for args in [
            vec![evil],
            vec!["eval", evil, "--prompt", "x"],
            vec!["eval", model.arg(), "--text", evil],
            vec!["eval", model.arg(), "--tokens", evil],
            vec!["eval", model.arg(), "--prompt", evil, "--tokenizer", "gpt2"],
            vec!["eval", model.arg(), "--prompt", "x", "--tokenizer", evil],
            vec!["eval", model.arg(), "--prompt", "x", "--layout", evil],
            vec!["eval", model.arg(), "--prompt", "x", "--config", evil],
            vec!["eval", model.arg(), "--prompt", "x", "--n-ctx", evil],
            vec!["eval", model.arg(), "--prompt", "x", "--kv", evil],
            vec!["compare", model.arg(), "--prompt", "x", "--weights", evil],
            vec!["convert", model.arg(), "-o", "never.blob", "--weights", evil],
            vec!["convert", model.arg(), "-o", "never.blob", "--weights", "auto", "--budget", evil],
            vec!["plan", model.arg(), "--board", evil],
            vec!["plan", model.arg(), "--flash", evil, "--ram", "1"],
            vec!["init", "--config", evil],
            vec!["tokenize", "--decode", evil],
            vec!["generate", evil, "--prompt", "x"],
            vec!["inspect", evil],
            vec!["eval", model.arg(), &format!("--{evil}")],
        ] {
            run_plain(&args, 2);
        }
    }
}

#[cfg(unix)]
#[test]
fn names_of_files() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for name in [&b"a\x1b[2Jb\xff"[..], "\u{202e}blob".as_bytes(), "\u{9b}m\rx".as_bytes()] {
        let path = folder.path().join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, "no blob").unwrap();
        for args in [["inspect"].as_slice(), &["eval", "--prompt", "x"], &["generate", "--prompt", "x"]] {
            let output = command().args(args).arg(&path).output().unwrap();
            assert_eq!(output.status.code(), Some(2));
            check(args, &output, true);
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(text.contains("\\u{") && !text.contains('\u{fffd}'), "{text}");
        }
        // Text of the file's own, row by row.
        for verb in ["eval", "surprisal"] {
            let model = fixtures::bundled("shakespeare-char");
            let output = command().arg(verb).arg(model).arg("--text").arg(&path).output().unwrap();
            check(&[verb], &output, false);
        }
    }
}

/// A model whose characters are those that a terminal acts on.
fn model_of_evil_characters() -> Altered {
    let model = Altered::of("hf-tied");
    let evil = "\u{1b}\u{7}\u{9b}\u{7f}\r\n\t\u{202e}\u{2066}\u{200f}\u{85}\u{2028}[mJ2;]";
    let rest = (0x4e00..).map(|c| char::from_u32(c).unwrap());
    let chars: Vec<String> = evil.chars().chain(rest).take(61).map(String::from).collect();
    model.write("chars.json", json!(chars).to_string());
    model
}

#[test]
fn characters_of_a_model() {
    let model = model_of_evil_characters();
    let text = model.write("text.txt", "\u{1b}[2J\u{9b}2J\u{7}\u{202e}\u{7f}\r\n\u{2066}");
    let text = text.to_str().unwrap();
    let blob = model.path().join("model.blob");
    let blob = blob.to_str().unwrap();
    run("convert", 0, &["convert", model.arg(), "-o", blob, "--calibrate", "none"]);
    for of in [model.arg(), blob] {
        run_plain(&["surprisal", of, "--text", text], 0);
        run_plain(&["eval", of, "--text", text], 0);
        let mut coloured = command();
        let output = coloured.args(["surprisal", of, "--text", text]).env("CLICOLOR_FORCE", "1").output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("\u{1b}[38;5;"), "no colours in {shown:?}");
        // What is left when the colours are taken off.
        let plain: String =
            shown.split("\u{1b}[").map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect();
        assert!(!plain.contains(is_raw), "{plain:?}");
    }
    run_plain(&["tokenize", "--verbose", "--tokenizer", model.arg(), "--decode", "0,1,2,3,4,5,6,7,8,9,10,11"], 0);
    let generate = ["generate", blob, "--prompt", "\u{1b}[", "--temperature", "1.5", "--json", "--max-tokens", "12"];
    let output = command().args(generate).output().unwrap();
    check(&generate, &output, false);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["prompt"], "\u{1b}[");
}

/// What an emulator and its program say; the emulator is a script.
#[cfg(unix)]
#[test]
fn words_of_a_board() {
    use std::os::unix::fs::PermissionsExt;
    let model = model_of_evil_characters();
    let blob = model.path().join("model.blob");
    let blob = blob.to_str().unwrap();
    run_plain(&["convert", model.arg(), "-o", blob, "--calibrate", "none"], 0);
    let tokens = model.write("tokens.json", TOKENS);
    // The header of a program for Arm, which nothing runs.
    let mut header = [0; 52];
    header[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    (header[16], header[18], header[20]) = (2, 40, 1);
    let (elf, ran) = (model.write("firmware", header), model.path().join("ran"));
    for said in [
        r"printf 'panic: \033[2J\302\2332J\n'",
        r"printf 'fault: \033[2J\n'; exit 1",
        r"printf 'error: \342\200\256x\ndone: failed\n'",
        r"printf 'board: \033[31m\n'",
        r"printf '\033[31m\n'",
        r"printf '\033]0;x\007' >&2; exit 1",
        r"printf '\377\033' >&2; exit 1",
        r"head -c 1000000 /dev/zero | tr '\0' '\033'",
    ] {
        let script = model.write("qemu-system-arm", format!("#!/bin/sh\n: >{}\n{said}\n", ran.display()));
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::join_paths(
            [model.path().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let args = ["device", "score", blob, "--board", "mps2-an386", "--tokens", tokens.to_str().unwrap()];
        let args = [args.as_slice(), &["--firmware", elf.to_str().unwrap()]].concat();
        let output = command().args(&args).env("PATH", path.unwrap()).output().unwrap();
        assert!([Some(1), Some(2)].contains(&output.status.code()), "{said}: {output:?}");
        check(&[said], &output, true);
        fs::remove_file(&ran).expect(said);
    }
}
