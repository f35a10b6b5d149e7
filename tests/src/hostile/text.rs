//! What is scored, of any bytes: a file of ids, and a text.

use emberlm::text::input::{Input, Source};
use emberlm::text::tokenizer::{SectionParts, Tokenizer};
use emberlm_core::window::Convention;

/// The vocabulary of the texts.
const CHARACTERS: &str = "ab\né日";

/// More than a fuzzer makes.
const MOST_BYTES: u64 = 1 << 20;

/// The bytes as a JSON file of ids, and as a text file.
pub fn run(data: &[u8]) -> bool {
    let folder = super::folder(&[("input", data)]);
    let path = folder.path().join("input");
    let tokenizer = Tokenizer::from_parts(SectionParts::Chars(CHARACTERS.chars().collect()), "made up");
    let ids = Source::Tokens(path.clone()).read(None, 300, MOST_BYTES);
    let text = Source::Text(vec![path]).read(Some(&tokenizer.expect("five characters")), 300, MOST_BYTES);
    for input in [&ids, &text].into_iter().flatten() {
        plan(input);
    }
    ids.is_ok() || text.is_ok()
}

/// Cuts rows into windows by every convention.
fn plan(input: &Input) {
    for row in input.rows() {
        assert!(!row.tokens.is_empty() && row.tokens.iter().all(|&id| id < 300));
        let n_tokens = row.tokens.len();
        for convention in [Convention::Disjoint, Convention::Sliding { stride: 2 }, Convention::LlamaCpp] {
            for n_ctx in [1, 2, 7] {
                let mut scored = 0;
                for window in convention.windows(n_tokens, n_ctx) {
                    assert!(window.n_inputs <= n_ctx && window.start + window.n_inputs < n_tokens, "{window:?}");
                    scored += window.n_scored();
                }
                assert!(scored < n_tokens);
            }
        }
    }
}
