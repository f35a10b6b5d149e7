//! GPT-2 inference and streaming cross-entropy over quantised weights, without std and without a heap.
//!
//! The same blob, tokens, window plan and KV cache type give the same bits on every processor; `FORMAT.md` specifies
//! them. Everything sized by the model lives in memory that the caller owns.
//!
//! Floats are taken as processors have them after reset: rounded to nearest, subnormal numbers kept. Start-up code that
//! sets FZ in Arm's FPSCR, or FTZ in a host's MXCSR, has to clear it again, or bits may change.
//!
//! # One token's way
//!
//! * [`source`]: weights come as blocks of bytes, mapped or copied. [`blob`] says where each tensor lies and checks it
//!   all once; [`model`] hands tensors out by name.
//! * [`kernel`]: the one place where a weight is multiplied. [`ops`]: layer norm, attention, GELU, on slices.
//! * [`session`]: brings a model, a kernel, a [`kv_cache`] and [`scratch`] memory together. `forward` takes tokens to
//!   hidden states, in steps of any size; `head` walks the output head once and pushes blocks of logits into sinks.
//! * [`sink`]: what becomes of logits. An arg-max, a dense buffer, a pair of sinks, or from [`loss`] the negative
//!   log-likelihood of a target.
//! * [`sample`]: logits to the token that comes next; [`generate`]: a prompt to the tokens that follow it.
//! * [`score`]: windows of a text, as [`window`] plans them, to losses; and the blob's self-test.
//!
//! Nothing imports upward: numbers know no models, models no sessions, and losses only logits.
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "conformance"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod blob;
pub mod config;
pub mod crc;
pub mod error;
pub mod features;
pub mod format;
pub mod generate;
pub mod kernel;
pub mod kv_cache;
pub mod loss;
pub mod model;
pub mod ops;
mod part;
pub mod sample;
pub mod score;
pub mod scratch;
pub mod session;
pub mod sink;
pub mod source;
pub mod tokenizer;
pub mod window;
