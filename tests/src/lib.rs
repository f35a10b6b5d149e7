//! What the cross-crate tests share: an oracle, golden files, and models to feed them.
//!
//! - [`oracle`]: GPT-2's forward pass in f64, naive on purpose. It shares no arithmetic with `emberlm-core`
//!   nor with the float reference of `emberlm`; PyTorch's golden logits vouch for it.
//! - [`gelu`], [`log_sum_exp`]: its two transcendental pieces, which other tests use on their own.
//! - [`checkpoint`]: reads the three checkpoint layouts into the oracle; [`hf_writer`] writes one of them.
//! - [`fixtures`]: the golden files in `tests/fixtures` and the bundled models.
//! - [`models`]: tiny random models of odd shapes, from a seed.
//! - [`blob_reader`]: a blob's weights as the oracle's, dequantised; [`quantised`] decodes q8, and rounds activations.

pub mod blob_reader;
pub mod checkpoint;
pub mod fixtures;
pub mod gelu;
pub mod hf_writer;
pub mod log_sum_exp;
pub mod models;
pub mod oracle;
pub mod quantised;
