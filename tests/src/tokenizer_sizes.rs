//! How long tokeniser sections are, and what memory encoding takes: the rows of a page's table.

use std::fs;

use emberlm::text::tokenizer::{Tokenizer, section};
use emberlm_core::tokenizer::{self as device, EncodeError};

use crate::fixtures;
use crate::published::Published;

/// Bytes of the play that are encoded.
pub const TEXT_BYTES: usize = 1000;

/// The table's rows, one a tokenizer.
///
/// # Panics
/// If a bundled tokenizer is none.
pub fn rows() -> Vec<String> {
    let json = |name: &str, file: &str| fs::read(fixtures::bundled(name).join(file)).expect("a bundled file");
    let chars = Tokenizer::from_chars_json(&json("shakespeare-char", "chars.json"), "bundled");
    let pairs = Tokenizer::from_tokenizer_json(&json("shakespeare-bpe512", "tokenizer.json"), "bundled");
    let scored = Tokenizer::from_tokenizer_bin(&json("stories260K", "tok512.bin"), "bundled");
    let bundled = [
        ("bundled `shakespeare-char`".to_owned(), chars),
        ("bundled `shakespeare-bpe512`".into(), pairs),
        ("GPT-2's".into(), Tokenizer::gpt2()),
        ("llama2.c's `tok512.bin`".into(), scored),
    ];
    let published = ["smollm2", "llama3", "qwen2", "llama2", "gemma"].map(|name| {
        let tokenizer = Tokenizer::from_tokenizer_json(&Published::named(name).json, name);
        (format!("with {}'s settings", proper(name)), tokenizer)
    });
    let all = bundled.into_iter().chain(published);
    all.map(|(name, tokenizer)| row(&name, &tokenizer.expect("a sound tokenizer"))).collect()
}

const fn proper(name: &str) -> &str {
    match name.as_bytes() {
        b"smollm2" => "SmolLM2",
        b"llama3" => "Llama 3",
        b"qwen2" => "Qwen 2",
        b"llama2" => "Llama 2",
        _ => "Gemma",
    }
}

fn row(name: &str, tokenizer: &Tokenizer) -> String {
    let bytes = section::encode(&tokenizer.section_parts().expect("a section"));
    let device = device::Tokenizer::open(&bytes, u32::MAX).expect("a sound section");
    let play = fixtures::as_you_like_it();
    let need = match device.encode(&play[..TEXT_BYTES], &mut []) {
        Err(EncodeError::TooManyTokens { need, .. }) => need,
        other => panic!("{other:?}"),
    };
    format!(
        "| {name} | {} | {} | {} | {} | {} |",
        device.kind().name(),
        grouped(device.n_tokens() as usize),
        grouped(device.merges().len()),
        grouped(bytes.len()),
        grouped(4 * need)
    )
}

/// A number with commas.
fn grouped(n: usize) -> String {
    if n < 1000 { n.to_string() } else { format!("{},{:03}", grouped(n / 1000), n % 1000) }
}
