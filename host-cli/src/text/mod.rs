//! Texts to rows of token ids, and token ids to text.
//!
//! [`tokenizer`] is either way of one text, [`input`] the rows that the user names, [`ids`] those that JSON holds, [`stream`]
//! text whose bytes come in pieces.

mod error;
pub mod ids;
pub mod input;
pub mod stream;
pub mod tokenizer;
