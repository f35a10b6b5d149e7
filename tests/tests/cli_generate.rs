//! `emberlm generate` and `emberlm surprisal`: text out, and what it surprised.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::{command, run};
use emberlm::text::tokenizer::Tokenizer;
use emberlm_core::format::Format;
use emberlm_tests::{blobs, fixtures};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The bundled character model in a file.
struct Model {
    _folder: TempDir,
    path: PathBuf,
}

impl Model {
    fn new() -> Self {
        let bundled = fixtures::bundled("shakespeare-char");
        let chars = Tokenizer::from_chars_json(&std::fs::read(bundled.join("chars.json")).unwrap(), "chars").unwrap();
        let blob = blobs::of_checkpoint(&bundled, Format::Q8, Some(chars.section_parts().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.blob");
        std::fs::write(&path, &*blob).unwrap();
        Self { _folder: folder, path }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["generate", self.path.to_str().unwrap()], more].concat()
    }

    fn generate(&self, more: &[&str]) -> Value {
        run("generate", 0, &self.args(more))
    }

    fn plain(&self, more: &[&str]) -> String {
        let output = command().args(self.args(more)).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    }

    fn error(&self, more: &[&str]) -> (String, String) {
        let error = run("error", 2, &self.args(more))["error"].clone();
        (error["kind"].as_str().unwrap().into(), error["message"].as_str().unwrap().into())
    }

    /// The command line as a child, with pipes.
    #[cfg(unix)]
    fn spawn(&self, more: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_emberlm-under-test"))
            .args(self.args(more))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

const ROMEO: [&str; 2] = ["--prompt", "ROMEO:\n"];

#[test]
fn the_seed_and_nothing_else_decides() {
    let model = Model::new();
    let run = |more: &[&str]| model.generate(&[&ROMEO, &["--max-tokens", "40"], more].concat());
    let first = run(&["--seed", "5"]);
    assert_eq!(run(&["--seed", "5"]), first);
    assert_ne!(run(&["--seed", "6"])["text"], first["text"]);
    assert_eq!(first["stopped"], "max_tokens");
    assert_eq!(first["tokens"].as_array().unwrap().len(), 40);
    assert_eq!(first["text"].as_str().unwrap().chars().count(), 40);
    let plain = model.plain(&[&ROMEO[..], &["--max-tokens", "40", "--seed", "5"]].concat());
    assert_eq!(plain, format!("{}\n", first["text"].as_str().unwrap()));
    let greedy = run(&["--temperature", "0"]);
    assert_eq!(run(&["--top-k", "1", "--seed", "9"])["text"], greedy["text"]);
    assert_ne!(run(&["--temperature", "0", "--repeat-penalty", "3"])["text"], greedy["text"]);
    let from_stdin = command()
        .args(model.args(&["--stdin", "--max-tokens", "40", "--seed", "5", "--json"]))
        .write_stdin("ROMEO:\n")
        .assert()
        .success();
    assert_eq!(serde_json::from_slice::<Value>(&from_stdin.get_output().stdout).unwrap(), first);
}

#[test]
fn a_stop_string_ends_the_text_and_is_not_printed() {
    let model = Model::new();
    let more = ["--seed", "1", "--max-tokens", "100"];
    let all = model.generate(&[&ROMEO[..], &more].concat())["text"].as_str().unwrap().to_owned();
    let stop: String = all.chars().skip(20).take(4).collect();
    let stopped = model.generate(&[&ROMEO[..], &more, &["--stop", "~", "--stop", &stop]].concat());
    assert_eq!(stopped["text"].as_str(), all.split(&stop).next());
    assert_eq!(stopped["stopped"], "stop");
    assert_eq!(
        model.plain(&[&ROMEO[..], &more, &["--stop", &stop]].concat()).trim_end(),
        stopped["text"].as_str().unwrap().trim_end()
    );
}

#[test]
fn a_full_context_ends_the_text_or_slides() {
    let model = Model::new();
    let n_ctx = 128;
    let full = model.generate(&[&ROMEO[..], &["--max-tokens", "1000"]].concat());
    assert_eq!(full["stopped"], "context_full");
    assert_eq!(full["tokens"].as_array().unwrap().len(), n_ctx - 7 + 1);
    let slid = model.generate(&[&ROMEO[..], &["--max-tokens", "200", "--when-full", "slide", "--keep", "30"]].concat());
    assert_eq!(slid["stopped"], "max_tokens");
    assert!(slid["text"].as_str().unwrap().starts_with(full["text"].as_str().unwrap()));
}

#[test]
fn the_bits_are_those_of_surprisal_and_eval() {
    let model = Model::new();
    let made =
        model.generate(&[&ROMEO[..], &["--max-tokens", "60", "--repeat-penalty", "1.2", "--top-p", "0.9"]].concat());
    let text = format!("ROMEO:\n{}", made["text"].as_str().unwrap());
    let path = model.path.to_str().unwrap();
    let surprisal = run("surprisal", 0, &["surprisal", path, "--prompt", &text]);
    let tokens = surprisal["rows"][0]["tokens"].as_array().unwrap();
    assert_eq!(tokens[0]["bits"], Value::Null);
    let bits: Vec<&Value> = tokens[7..].iter().map(|token| &token["bits"]).collect();
    assert_eq!(json!(bits), made["bits"]);
    let eval = run("eval", 0, &["eval", path, "--prompt", &text]);
    for (key, value) in eval.as_object().unwrap() {
        assert_eq!(&surprisal[key], value, "{key}");
    }
}

#[test]
fn surprisal_takes_texts_of_any_length_and_checkpoints() {
    let model = Model::new();
    let text: String = fixtures::as_you_like_it().chars().take(1000).collect();
    let file = model.path.with_extension("txt");
    std::fs::write(&file, &text).unwrap();
    let bundled = fixtures::bundled("shakespeare-char");
    for path in [&model.path, &bundled] {
        let report = run("surprisal", 0, &["surprisal", path.to_str().unwrap(), "--text", file.to_str().unwrap()]);
        let tokens = report["rows"][0]["tokens"].as_array().unwrap();
        let spelt: String = tokens.iter().map(|token| token["text"].as_str().unwrap()).collect();
        assert_eq!(spelt, text);
        let bits: Vec<f64> = tokens.iter().filter_map(|token| token["bits"].as_f64()).collect();
        assert_eq!(bits.len() as u64, report["tokens_scored"].as_u64().unwrap());
        let mean = bits.iter().sum::<f64>() / bits.len() as f64;
        assert!((mean - report["bits_per_token"].as_f64().unwrap()).abs() < 1e-9);
    }
}

#[test]
fn surprisal_is_lines_for_pipes_and_colours_for_terminals() {
    let model = Model::new();
    let args = ["surprisal", model.path.to_str().unwrap(), "--prompt", "To be\n"];
    let text = |command: &mut assert_cmd::Command| {
        String::from_utf8(command.args(args).assert().success().get_output().stdout.clone()).unwrap()
    };
    let plain = text(&mut command());
    let lines: Vec<(&str, &str)> = plain.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(lines[0], ("-", "\"T\""));
    assert_eq!(
        lines.iter().map(|&(_, token)| token).collect::<Vec<_>>(),
        [r#""T""#, r#""o""#, r#"" ""#, r#""b""#, r#""e""#, r#""\n""#]
    );
    assert!(lines[1..].iter().all(|(bits, _)| bits.parse::<f64>().unwrap() >= 0.0));
    let coloured = text(command().env("CLICOLOR_FORCE", "1"));
    assert!(coloured.contains("\u{1b}[38;5;") && coloured.contains("bits per token"), "{coloured}");
}

#[test]
fn what_cannot_be_generated_is_named() {
    let model = Model::new();
    let long = "a".repeat(129);
    for (more, kind, message) in [
        (["--prompt", ""].as_slice(), "generate", "the prompt is empty: there is no token to follow"),
        (&["--prompt", &long], "generate", "the prompt is longer than the context: need 129 positions, have 128"),
        (&["--prompt", "é"], "unrepresentable_text", "U+00E9"),
        (&["--prompt", "a", "--top-k", "129"], "usage", "top-k is from 1 to 128"),
        (&["--prompt", "a", "--when-full", "slide", "--keep", "128"], "generate", "keep at least 1, fewer than 128"),
        (&["--interactive"], "usage", "--interactive"),
    ] {
        let (is, says) = model.error(more);
        assert!(is == kind && says.contains(message), "{is}: {says}");
    }
    let checkpoint = fixtures::bundled("shakespeare-char");
    let error = run("error", 2, &["generate", checkpoint.to_str().unwrap(), "--prompt", "a"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("emberlm convert"), "{error}");
}

#[test]
fn interactive_without_a_terminal_takes_lines() {
    let model = Model::new();
    let want = |prompt: &str, seed: &str| model.plain(&["--prompt", prompt, "--seed", seed, "--max-tokens", "20"]);
    let output = command()
        .args(model.args(&["--interactive", "--max-tokens", "20"]))
        .write_stdin("JULIET:\n:seed 4\n\n:seed x\né\n:max-tokens 20\nJULIET:\n")
        .assert()
        .success()
        .get_output()
        .clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), want("JULIET:", "0") + &want("JULIET:", "4"));
    let said = String::from_utf8(output.stderr).unwrap();
    for message in ["the prompt is empty", "the value is no number", "U+00E9"] {
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn statistics_go_to_standard_error() {
    let model = Model::new();
    let args = model.args(&["--prompt", "a", "--max-tokens", "3", "--stats"]);
    let output = command().args(&args).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("prompt: 1 tokens") && said.contains("generated: 3 tokens"), "{said}");
    let value = run("generate", 0, &args);
    assert!(value["stats"]["tokens_per_second"].as_f64().unwrap() > 0.0);
}

const ENDLESS: [&str; 6] = ["--prompt", "a", "--when-full", "slide", "--max-tokens", "1000000000"];

#[test]
#[cfg(unix)]
fn a_reader_that_goes_away_ends_the_text() {
    let model = Model::new();
    let mut child = model.spawn(&ENDLESS);
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut [0; 10]).unwrap();
    drop(pipe);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_the_text_and_in_a_dialogue_no_more_than_that() {
    common::hear_signals();
    let model = Model::new();
    let interrupt = |child: &Child| {
        let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    let mut child = model.spawn(&ENDLESS);
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut [0; 10]).unwrap();
    interrupt(&child);
    pipe.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut child = model.spawn(&["--interactive", "--when-full", "slide", "--max-tokens", "1000000000"]);
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    input.write_all(b"a\n").unwrap();
    output.read_exact(&mut [0; 10]).unwrap();
    interrupt(&child);
    input.write_all(b":max-tokens 1\nb\n").unwrap();
    drop(input);
    let mut rest = Vec::new();
    output.fill_buf().unwrap();
    output.read_to_end(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(rest.ends_with(b"\n"));
}
