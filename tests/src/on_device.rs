//! Text to tokens and back as a device does it.

use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::{Decoder, Tokenizer};

/// The tokens of a text, in `room` places.
///
/// # Panics
/// The text has no tokens, or the room is too small.
pub fn encode(tokenizer: &Tokenizer<'_>, text: &str, room: usize) -> Vec<TokenId> {
    let mut ids = vec![0; room];
    let n = tokenizer.encode(text, &mut ids).expect("tokens, and places for them");
    ids.truncate(n);
    ids
}

/// The text of tokens, one after another.
///
/// # Panics
/// One is not known.
pub fn decode(tokenizer: &Tokenizer<'_>, ids: &[TokenId]) -> String {
    let (mut decoder, mut text) = (Decoder::new(*tokenizer), String::new());
    for &id in ids {
        decoder.push(id, &mut text).expect("a known token");
    }
    decoder.finish(&mut text).expect("a string takes all");
    text
}
