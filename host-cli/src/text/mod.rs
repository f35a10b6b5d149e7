//! Texts to rows of token ids, and token ids to text.
//!
//! [`tokenizer`] is either way of one text, [`input`] the rows that the user names, [`stream`] text whose bytes come in
//! pieces.

pub mod input;
pub mod stream;
pub mod tokenizer;
