//! The blob: a model as one file that is opened from its first bytes alone. `FORMAT.md` specifies it.
//!
//! [`preamble`] says where the manifest ends, [`manifest`] what the model is and where its tensors lie, [`pruned`] what its
//! vocabulary was cut from, [`slot`] which tensor is which, and [`open`] checks it all once.
//! [`include_blob!`](crate::include_blob) makes one a part of the program.

#[doc(hidden)]
pub mod include;
pub mod manifest;
pub mod open;
pub mod preamble;
pub mod pruned;
pub mod slot;

pub use manifest::{
    Descriptor, Head, KnownNll, LongSelfTest, MAX_SELF_TEST_TOKENS, NO_TOKEN, Section, SelfTest, TextTokens,
};
pub use open::{OpenError, Part, TensorFault};
pub use preamble::Preamble;
pub use pruned::PrunedVocabulary;
pub use slot::{LayerSlot, Presence, Slot};

/// The layout of bytes that this core reads and writes.
pub const FORMAT_VERSION: u16 = 2;

/// The arithmetic that this core computes (`FORMAT.md`, chapter Arithmetic). Blobs record the one that their
/// self-test was computed with.
pub const ARITHMETIC: u16 = 3;

/// Sections and tensors start at multiples of this many bytes from the blob's first.
pub const SECTION_ALIGNMENT: usize = 16;
