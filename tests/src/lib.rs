//! What the cross-crate tests share: an oracle, golden files, models to feed them, and ways through the core.
//!
//! - [`oracle`]: the forward pass in f64, of GPT-2 and of other families, naive on purpose. It shares no arithmetic with `emberlm-core`
//!   nor with the float reference of `emberlm`; PyTorch's golden logits vouch for it.
//! - [`gelu`], [`log_sum_exp`]: its two transcendental pieces, which other tests use on their own.
//! - [`checkpoint`]: reads the three checkpoint layouts into the oracle; [`hf_writer`] writes one of them.
//! - [`family_reader`]: reads checkpoints of other families than GPT-2 into the oracle; [`family_models`] draws and
//!   writes some, and [`llama2c_writer`] writes llama2.c's files. [`llama2c_tokenizer`] merges as llama2.c does.
//! - [`altered`]: a fixture's checkpoint in a folder of its own, for tests to alter.
//! - [`blobs`]: blobs as the converter writes them, in memory.
//! - [`blob_reader`]: reads a blob's weights into the oracle, dequantised; [`blob_writer`] writes one.
//!   [`quantised`] decodes and encodes rows and rounds activations, [`aligned`] holds bytes where the core maps them.
//! - [`document`]: what the repository's documents state, sentence by sentence and table by table.
//! - [`class_table`]: writes core's table of character classes.
//! - [`fixtures`]: the golden files in `tests/fixtures` and the bundled models.
//! - [`hostile`]: what any bytes have to come to, for fuzzers and for the inputs that they found.
//! - [`letter_pairs`]: the model of core's examples.
//! - [`models`]: tiny random models of odd shapes, from a seed.
//! - [`on_device`]: text to tokens and back by core.
//! - [`published`]: tokenizers as models are published with them, in small; [`tokenizer_sizes`] says what room they take.
//! - [`passes`]: a window of tokens through the core, in all the ways that must give the same bits.

pub mod aligned;
pub mod altered;
pub mod blob_reader;
pub mod blob_writer;
pub mod blobs;
pub mod checkpoint;
pub mod class_table;
pub mod document;
pub mod family_check;
pub mod family_folders;
pub mod family_models;
pub mod family_reader;
pub mod fixtures;
pub mod gelu;
pub mod hf_writer;
pub mod hostile;
pub mod letter_pairs;
pub mod llama2c_tokenizer;
pub mod llama2c_writer;
pub mod log_sum_exp;
pub mod models;
pub mod on_device;
pub mod oracle;
pub mod passes;
pub mod published;
pub mod quantised;
pub mod teams;
pub mod tokenizer_sizes;

/// The code on the page for firmware engineers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/firmware.md")]
pub mod firmware_page {}
