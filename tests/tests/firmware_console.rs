//! The firmware's console: what is typed, and text that is the host's.

mod common;
mod console;

use std::fs;
use std::path::{Path, PathBuf};

use common::run;
use console::{Shown, type_to};
use emberlm::text::tokenizer::Tokenizer;
use emberlm::text::tokenizer::select::Search;
use emberlm_core::config::TokenId;
use emberlm_core::format::Format;
use emberlm_tests::models::Spec;
use emberlm_tests::published::Published;
use emberlm_tests::{blobs, fixtures};
use serde_json::Value;
use tempfile::TempDir;

/// A bundled model in a file.
struct Model {
    _folder: TempDir,
    blob: PathBuf,
}

impl Model {
    fn new(name: &str) -> Self {
        let bundled = fixtures::bundled(name);
        let search = Search { named: bundled.to_str(), ..Search::default() };
        let parts = search.find().unwrap().tokenizer.section_parts().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let blob = folder.path().join("model.blob");
        fs::write(&blob, &*blobs::of_checkpoint(&bundled, Format::Q8, Some(parts))).unwrap();
        Self { _folder: folder, blob }
    }

    fn type_to(&self, board: &str, typed: &[u8]) -> Shown {
        type_to(board, &self.blob, typed)
    }

    fn generate(&self, prompt: &str, more: &[&str]) -> Value {
        run("generate", 0, &[&["generate", path(&self.blob), "--prompt", prompt], more].concat())
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Three seeds, with another way to draw for each.
fn the_hosts_text(board: &str) {
    let model = Model::new("shakespeare-bpe512");
    let (prompt, n) = ("First Citizen: Ça va", "24");
    let typed = format!(
        ":max-tokens {n}\n{prompt}\n:seed 1\n:top-k 20\n{prompt}\n:seed 2\n:top-k off\n:top-p 0.9\n:repeat-penalty 1.2\n\
         {prompt}\n:bits on\n{prompt}\n"
    );
    let shown = model.type_to(board, typed.as_bytes());
    let answers: Vec<&String> = shown.answers.iter().filter(|answer| !answer.is_empty()).collect();
    let ways: [&[&str]; 3] = [
        &["--seed", "0"],
        &["--seed", "1", "--top-k", "20"],
        &["--seed", "2", "--top-p", "0.9", "--repeat-penalty", "1.2"],
    ];
    let hosts = ways.map(|way| model.generate(prompt, &[&["--max-tokens", n], way].concat()));
    for (host, answer) in hosts.iter().zip(&answers) {
        let (text, report) = answer.rsplit_once("\n-- ").unwrap();
        assert_eq!(host["text"], text, "{board}");
        let bits = format!(", {:.3} bits a token; ended by max_tokens\n", host["bits_per_token"].as_f64().unwrap());
        assert!(report.contains(" instructions a token") && report.ends_with(&bits), "{report} is not {bits}");
    }
    let told: Vec<&str> = answers[3].lines().filter_map(|line| Some(line.split_once('\t')?.0)).collect();
    let bits = hosts[2]["bits"].as_array().unwrap().iter().map(|bits| format!("{:.3}", bits.as_f64().unwrap()));
    assert_eq!(told, bits.collect::<Vec<_>>());
    assert!(shown.head.contains("ram_bytes: "), "{}", shown.head);
    println!("{board}\n{}\n{}", shown.head, answers[0]);
}

#[test]
fn the_m4f_writes_the_hosts_text() {
    the_hosts_text("mps2-an386");
}

#[test]
fn the_m55_writes_the_hosts_text() {
    the_hosts_text("mps3-an547");
}

#[test]
fn risc_v_writes_the_hosts_text() {
    the_hosts_text("virt-rv32imac");
}

/// A model of random weights whose tokenizer has rules of its own: what it draws after a prompt are the host's tokens.
fn tokens_by_ranks(board: &str, name: &str) {
    let tokenizer = Tokenizer::from_tokenizer_json(&Published::named(name).json, name).unwrap();
    let spec = Spec { n_vocab: tokenizer.n_vocab(), n_ctx: 96, ..Spec::SMALL };
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("model.blob");
    fs::write(&blob, &*blobs::of_model(&spec.model(7), Format::Q8, Some(tokenizer.section_parts().unwrap()))).unwrap();
    let model = Model { _folder: folder, blob };
    let prompts = ["Ça  va 1234? 日本 <s>", "The naïve fool's e\u{301}"];
    let typed = format!(":bits on\n:max-tokens 24\n{}\n{}\n", prompts[0], prompts[1]);
    let shown = model.type_to(board, typed.as_bytes());
    let answers: Vec<&String> = shown.answers.iter().filter(|answer| !answer.is_empty()).collect();
    assert_eq!(answers.len(), prompts.len());
    for (prompt, answer) in prompts.iter().zip(answers) {
        let host = model.generate(prompt, &["--max-tokens", "24", "--seed", "0"]);
        let bits = host["bits"].as_array().unwrap().iter().map(|bits| bits.as_f64().unwrap());
        let tokens = host["tokens"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as TokenId);
        let spelled = |id| {
            tokenizer.token_bytes(id).unwrap_or_default().utf8_chunks().fold(String::new(), |all, chunk| {
                let wrong = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
                format!("{all}{}{wrong}", chunk.valid().escape_debug())
            })
        };
        let hosts: Vec<String> = bits.zip(tokens).map(|(bits, id)| format!("{bits:.3}\t\"{}\"", spelled(id))).collect();
        let told: Vec<&str> = answer.lines().filter(|line| line.contains('\t')).collect();
        assert_eq!(told, hosts, "{board}");
        let n = tokenizer.encode(prompt).unwrap().len();
        assert!(answer.contains(&format!("-- prompt: {n} tokens, ")), "{answer}");
    }
}

#[test]
fn the_m4f_has_llama2s_tokens() {
    tokens_by_ranks("mps2-an386", "llama2");
}

#[test]
fn risc_v_has_llama3s_tokens() {
    tokens_by_ranks("virt-rv32imac", "llama3");
}

#[test]
fn what_cannot_be_served_is_answered_with_the_reason() {
    let model = Model::new("shakespeare-char");
    let long = [b'a'; 257];
    let in_context = [b'a'; 129];
    let lines: [(&[u8], &str); 9] = [
        (b"", "error: the prompt is empty: there is no token to follow"),
        (&long, "error: the line is longer than 256 bytes"),
        (&in_context, "error: the prompt is longer than the context: need 129 positions, have 128"),
        (b"a\xFFb", "error: the text is not UTF-8: the byte at offset 1 is wrong"),
        ("aé".as_bytes(), "error: no token for 'é' (U+00E9) at byte 1"),
        (b":top-k 129", "error: top-k is from 1 to 128"),
        (b":seed x", "error: the value is no number"),
        (b":colour red", "error: the settings are seed, "),
        (b":max-tokens 2", ""),
    ];
    let mut typed = lines.map(|(line, _)| line).join(&b'\n');
    typed.extend(b"\nROMEO:");
    let shown = model.type_to("mps2-an386", &typed);
    for ((_, want), answer) in lines.iter().zip(&shown.answers) {
        assert!(answer.starts_with(want) && answer.lines().count() <= 1, "{answer:?} for {want:?}");
    }
    let text = model.generate("ROMEO:", &["--max-tokens", "2"])["text"].as_str().unwrap().to_owned();
    assert!(shown.answers.last().unwrap().starts_with(&format!("{text}\n-- ")), "{:?}", shown.answers.last());
}
