//! Rounding a model by what passes through it on a text.
//!
//! [`Windows`] are the text: the model's own (`own_text`), or one that the user names. The `pass` takes the matrices in
//! the order in which a token meets them, beside what they are given in the checkpoint itself (`exact`), and moves weights to
//! where they make up for the difference (`correction`).

mod correction;
mod exact;
mod own_text;
pub(super) mod pass;
mod windows;

pub use own_text::OwnText;
pub use windows::Windows;
