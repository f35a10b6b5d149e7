//! What an option may say, and what the tool says of itself: ranges, options without a meaning, texts that are too short,
//! contexts that are full.

mod common;

use common::{command, run};
use emberlm_tests::altered::Altered;
use serde_json::{Value, json};

/// A tiny model, its blob and some of its tokens.
struct Tiny {
    model: Altered,
    blob: String,
    tokens: String,
}

impl Tiny {
    fn new() -> Self {
        let model = Altered::of("hf-tied");
        let chars: Vec<char> = ('A'..='~').take(61).collect();
        model.write("chars.json", json!(chars).to_string());
        let blob = model.path().join("model.blob").to_str().unwrap().to_owned();
        run("convert", 0, &["convert", model.arg(), "-o", &blob, "--calibrate", "none"]);
        let tokens = model.write("tokens.json", "[[1, 2, 3, 4]]").to_str().unwrap().to_owned();
        Self { model, blob, tokens }
    }
}

/// Kind and message of the error that `args` end in.
fn error(args: &[&str]) -> (String, String) {
    let error = run("error", 2, args)["error"].clone();
    (error["kind"].as_str().unwrap().into(), error["message"].as_str().unwrap().into())
}

#[track_caller]
fn is_usage(args: &[&str], says: &str) {
    let (kind, message) = error(args);
    assert!(kind == "usage" && message.contains(says), "{args:?}: {kind}: {message}");
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    let Tiny { model, blob, tokens } = &Tiny::new();
    for option in ["--max-kl", "--max-delta-nll", "--min-top1"] {
        for value in ["nan", "NaN", "inf", "-inf", "-1", "-1e-9", "1e400", "x", ""] {
            is_usage(&["verify", model.arg(), blob, "--tokens", tokens, &format!("{option}={value}")], option);
        }
    }
    is_usage(&["verify", model.arg(), blob, "--tokens", tokens, "--min-top1", "1.01"], "share");
    for (option, values) in [
        ("--temperature", ["nan", "inf", "-1", "1e9"].as_slice()),
        ("--top-p", &["nan", "inf", "-0.1", "1.1"]),
        ("--min-p", &["nan", "-inf", "-0.1", "2"]),
        ("--repeat-penalty", &["nan", "inf", "0", "-1"]),
        ("--top-k", &["0", "129", "-1", "1099511627776", "18446744073709551616"]),
        ("--seed", &["-1", "18446744073709551616"]),
        ("--max-tokens", &["-1", "18446744073709551616"]),
        ("--n-ctx", &["0", "17", "1099511627776", "-1"]),
    ] {
        for value in values {
            is_usage(&["generate", blob, "--prompt", "A", &format!("{option}={value}")], "");
        }
    }
    let (kind, message) = error(&["generate", blob, "--prompt", "A", "--when-full", "slide", "--keep", "16"]);
    assert!(kind == "generate" && message.contains("cannot slide to its last 16 tokens"), "{message}");
    for option in [["--n-ctx", "1099511627776"], ["--n-ctx", "0"], ["--max-windows", "0"], ["--threads", "0"]] {
        is_usage(&[["eval", blob, "--tokens", tokens].as_slice(), &option].concat(), "");
    }
    for stride in ["0", "17", "18446744073709551615"] {
        is_usage(&["eval", blob, "--tokens", tokens, "--convention", "sliding", "--stride", stride], "--stride");
    }
    let ram = ["18446744073709551615+2", "18446744073709551616", "16777216G", "-1", "1+", "nan"];
    for ram in ram {
        is_usage(&["plan", blob, "--flash", "1M", &format!("--ram={ram}")], "--ram");
    }
    let whole = run("plan", 1, &["plan", blob, "--flash", "1", "--ram", "18446744073709551614+1"]);
    assert_eq!(whole["ram"]["have"], json!(u64::MAX));
    for options in [["--n-ctx", "0"], ["--batch", "0"], ["--n-ctx", "4294967296"]] {
        is_usage(&[["plan", blob, "--board", "all"].as_slice(), &options].concat(), options[0]);
    }
    run("plan", 1, &["plan", blob, "--flash", "1", "--ram", "1", "--batch", "4294967295"]);
}

#[test]
fn options_without_a_meaning_are_refused() {
    let Tiny { model, blob, tokens } = &Tiny::new();
    let config = model.path().join("config.json");
    let config = config.to_str().unwrap();
    for option in [["--layout", "hf"], ["--config", config], ["--n-head", "2"]] {
        for verb in ["eval", "surprisal"] {
            is_usage(&[[verb, blob, "--tokens", tokens].as_slice(), &option].concat(), option[0]);
        }
        is_usage(&[["plan", blob, "--board", "all"].as_slice(), &option].concat(), option[0]);
    }
    for option in [["--weights", "q8"], ["--tokenizer", "gpt2"]] {
        is_usage(&[["plan", blob, "--board", "all"].as_slice(), &option].concat(), option[0]);
    }
    is_usage(&["plan", blob, "--board", "all", "--no-tokenizer"], "--no-tokenizer");
    is_usage(&["eval", model.arg(), "--tokens", tokens, "--kv", "i8"], "--kv");
    is_usage(&["eval", model.arg(), "--tokens", tokens, "--threads", "2"], "--threads");
    is_usage(&["generate", blob, "--prompt", "A", "--keep", "3"], "--keep");
    is_usage(&["inspect", blob, "--rust"], "--board");
    is_usage(&["inspect", blob, "--core", "cortex-m4f"], "--rust");
    is_usage(&["inspect", blob, "--kv", "i8"], "--kv goes with --rust");
    let rust = ["--rust", "--core", "cortex-m4f"];
    is_usage(&[["inspect", blob, "--n-ctx", "17"].as_slice(), &rust].concat(), "beyond the model's 16");
    is_usage(&[["inspect", model.arg()].as_slice(), &rust].concat(), "--rust takes a blob");
}

#[test]
fn a_text_shorter_than_a_chunk_is_told_how_long_it_must_be() {
    let Tiny { model, blob, .. } = &Tiny::new();
    for of in [model.arg(), blob] {
        let args = ["eval", of, "--prompt", "ABCDEFGHI", "--convention", "llamacpp"];
        let value = run("eval", 2, &args);
        assert_eq!(value["error"]["kind"], "nothing_to_score");
        assert_eq!(value["loss"], Value::Null);
        let output = command().args(args).assert().code(2).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("need 16 tokens in a text, have 9"), "{stderr}");
    }
}

#[test]
fn a_full_context_says_so() {
    let Tiny { blob, .. } = &Tiny::new();
    let generate = |more: &[&str]| {
        let args = [["generate", blob, "--prompt", "ABCD", "--max-tokens", "40"].as_slice(), more].concat();
        let output = command().args(args).assert().success().get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(generate(&[]).contains("the context of 16 tokens is full after 13 of 40 tokens: --when-full slide"));
    assert!(generate(&["--n-ctx", "8"]).contains("the context of 8 tokens is full after 5 of 40"));
    for more in [["--when-full", "slide"], ["--max-tokens", "12"]] {
        let args = [["generate", blob, "--prompt", "ABCD"].as_slice(), &more].concat();
        let stderr = command().args(args).assert().success().get_output().stderr.clone();
        assert!(!String::from_utf8(stderr).unwrap().contains("full"), "{more:?}");
    }
    let (kind, message) = error(&["generate", blob, "--prompt", &"A".repeat(20)]);
    assert!(kind == "generate" && message.contains("need 20 positions, have 16; --when-full slide"), "{message}");
}

/// The memory that a text takes decides where the context does not, and no token hangs on it.
#[test]
fn the_same_text_comes_in_any_context_that_holds_it() {
    let Tiny { blob, .. } = &Tiny::new();
    let generate = |more: &[&str]| {
        run("generate", 0, &[["generate", blob, "--prompt", "ABC", "--max-tokens", "7"].as_slice(), more].concat())
    };
    let whole = generate(&[]);
    for more in [["--n-ctx", "10"].as_slice(), &["--when-full", "slide"], &["--n-ctx", "11", "--when-full", "slide"]] {
        assert_eq!(generate(more)["tokens"], whole["tokens"], "{more:?}");
    }
}
