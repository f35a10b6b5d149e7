//! The command line as machines see it: JSON, exit codes, and what becomes of mistakes. `tokenize` is the example.

mod common;

use common::{command, run};
use serde_json::json;

const FOX: &str = "The quick brown fox jumps over the lazy dog";
const FOX_IDS: [u32; 9] = [464, 2068, 7586, 21831, 18045, 625, 262, 16931, 3290];

#[test]
fn tokenize_with_gpt2_and_back() {
    let value = run("tokenize", 0, &["tokenize", FOX]);
    assert_eq!(value["ids"], json!(FOX_IDS));
    assert_eq!(value["tokens"][1], json!(" quick"));
    assert_eq!(value.get("text"), None);
    let ids = FOX_IDS.map(|id| id.to_string()).join(",");
    let back = run("tokenize", 0, &["tokenize", "--decode", &ids]);
    assert_eq!(back["text"], json!(FOX));
    assert_eq!(back["tokens"], value["tokens"]);
}

#[test]
fn tokenize_reads_standard_input() {
    command().args(["tokenize", "-"]).write_stdin("lazy dog\n").assert().success().stdout("75 12582 3290 198\n");
}

#[test]
fn what_a_tokenizer_cannot_represent_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chars.json"), r#"["a", "\n"]"#).unwrap();
    let value = run("error", 2, &["tokenize", "a\nab", "--tokenizer", folder.path().to_str().unwrap()]);
    let message = "the tokenizer has no token for 'b' (U+0062) at line 2, column 2 (byte 3)";
    assert_eq!(value["error"], json!({"kind": "unrepresentable_text", "message": message}));
}

#[test]
fn usage_errors_are_json_too() {
    for (args, message) in [
        (
            ["tokenise", "x"].as_slice(),
            "unrecognized subcommand 'tokenise' tip: a similar subcommand exists: 'tokenize'",
        ),
        (&["tokenize"], "the following required arguments were not provided: <TEXT>"),
        (&["tokenize", "--decode", "1x"], "--decode: \"1x\" is not a token id"),
    ] {
        let value = run("error", 2, args);
        assert_eq!(value["error"], json!({"kind": "usage", "message": message}));
    }
}

#[test]
fn errors_for_people_go_to_standard_error() {
    let output = command().args(["tokenize", "--decode", "50257"]).assert().code(2).get_output().clone();
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text, "error: id 50257 has no token: the vocabulary of gpt2 (built in) ends at 50257\n");
}

#[test]
fn help_and_version_end_well() {
    command().arg("--help").assert().success();
    command().args(["--version", "--json"]).assert().success();
}

#[test]
#[cfg(unix)]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let program = env!("CARGO_BIN_EXE_emberlm-under-test");
    let status = std::process::Command::new(program).args(["tokenize", FOX]).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
