//! What tokens spell, where a report quotes them.

use emberlm_core::config::TokenId;

use crate::text::stream::TextStream;
use crate::text::tokenizer::Tokenizer;

/// The tokenizer of what is quoted, if there is one.
#[derive(Clone, Copy)]
pub struct Spelling<'t>(Option<&'t Tokenizer>);

impl<'t> Spelling<'t> {
    /// By that tokenizer; without one, tokens are quoted by their ids.
    pub const fn new(tokenizer: Option<&'t Tokenizer>) -> Self {
        Self(tokenizer)
    }

    /// The text of one token, with U+FFFD for bytes that are not UTF-8 on their own; `None` without a tokenizer, or for an
    /// id that it lacks.
    pub fn token(&self, id: TokenId) -> Option<String> {
        self.0?.token_text(id).ok()
    }

    /// The text of one token, or its id.
    pub fn name(&self, id: TokenId) -> String {
        self.token(id).unwrap_or_else(|| id.to_string())
    }

    /// The text of tokens side by side, whose characters may be of several tokens; ids have a blank behind them.
    pub fn text(&self, ids: &[TokenId]) -> String {
        let (mut stream, mut text) = (TextStream::default(), String::new());
        for &id in ids {
            match self.0.and_then(|tokenizer| tokenizer.token_bytes(id)) {
                Some(bytes) => text += &stream.push(&bytes),
                None => text += &self.token(id).unwrap_or_else(|| format!("{id} ")),
            }
        }
        text + &stream.finish()
    }
}
