//! GPT inference and streaming cross-entropy over quantised weights, without std and without a heap: GPT-2, GPT-Neo, Llama
//! and Mistral, or whatever else [`Config`] describes.
//!
//! A program opens a blob that the `emberlm` command line wrote, lends memory, scores and generates:
//!
//! ```
//! use core::fmt::Write;
//!
//! use emberlm_core::{
//!     Config, CrossEntropy, Decoder, Error, Generation, KvType, Mapped, Model, Need, Order, Portable, Run, Sampler,
//!     Score, Session, Settings, TokenId, WhenFull, include_blob, score_window,
//! };
//! use static_cell::ConstStaticCell;
//!
//! /// A part of the program, in its flash.
//! static BLOB: &[u8] = include_blob!("../examples/letters.blob");
//!
//! /// The model's shape, as `emberlm inspect` prints it: so the compiler knows what memory is needed.
//! const SHAPE: Config =
//!     Config { n_vocab: 27, n_ctx: 48, n_embd: 32, n_layer: 1, n_ff: 32, ..Config::GPT2 }.with_heads(2);
//! const N_CTX: usize = SHAPE.n_ctx as usize;
//! const RUN: Run = Run::new(Order::TokenMajor, KvType::I8, N_CTX);
//! const NEED: Need = Need::new(&SHAPE, RUN);
//!
//! static KV_CACHE: ConstStaticCell<[u32; NEED.kv_words]> = ConstStaticCell::new([0; _]);
//! static FLOATS: ConstStaticCell<[f32; NEED.scratch.floats]> = ConstStaticCell::new([0.0; _]);
//! static WORDS: ConstStaticCell<[u32; NEED.scratch.words]> = ConstStaticCell::new([0; _]);
//! static CONTEXT: ConstStaticCell<[TokenId; N_CTX]> = ConstStaticCell::new([0; _]);
//!
//! fn program(console: &mut impl Write) -> Result<(), Error> {
//!     let model = Model::open(Mapped::new(BLOB)?)?; // Every check is made here, once.
//!     let Some(tokenizer) = model.tokenizer()? else { return Ok(writeln!(console, "the blob has no tokeniser")?) };
//!     let kv = RUN.kv_cache(&SHAPE, KV_CACHE.take())?;
//!     let scratch = RUN.scratch(&SHAPE, FLOATS.take(), WORDS.take())?;
//!     let mut session = Session::new(model, Portable, kv, scratch)?;
//!
//!     let mut tokens = [0; N_CTX];
//!     let n = tokenizer.encode("all the world is a stage", &mut tokens)?;
//!     let (mut sinks, mut score) = ([CrossEntropy::new(0)], Score::new());
//!     score_window(&mut session, &tokens[..n], 0, &mut sinks, |nll| score.push(nll))?;
//!     writeln!(console, "{:.3} nats a letter", score.mean().unwrap_or(f64::NAN))?;
//!
//!     let sampler = Sampler::new(Settings { seed: 1, ..Settings::DEFAULT })?;
//!     let mut generation = Generation::new(&mut session, sampler, CONTEXT.take(), WhenFull::Stop)?;
//!     generation.append(&tokens[..n])?;
//!     let mut decoder = Decoder::after(tokenizer, &tokens[..n]);
//!     while let Some(drawn) = generation.next_token()? {
//!         decoder.push(drawn.token, console)?;
//!     }
//!     Ok(decoder.finish(console)?)
//! }
//!
//! fn main() -> Result<(), Error> {
//!     let mut console = String::new(); // On a board a UART, or a debug probe's terminal.
//!     program(&mut console)?;
//!     print!("{console}");
//! #   let (loss, text) = console.split_once(" nats a letter\n").expect("both were written");
//! #   assert!((1.0..3.0).contains(&loss.parse::<f64>().expect("a number")), "{loss}");
//! #   assert_eq!(text.len(), 48 + 1 - 24);
//!     Ok(())
//! }
//! ```
//!
//! `core/examples/` has programs that score texts of any length, generate in a context that slides, and say what memory a
//! model takes; [`guide`] has pages on memory and on kernels.
//!
//! The same blob, tokens, window plan and KV cache type give the same bits on every processor; `FORMAT.md` specifies
//! them. Everything sized by the model lives in memory that the caller owns.
//!
//! Floats are taken as processors have them after reset: rounded to nearest, subnormal numbers kept. Start-up code that
//! sets FZ in Arm's FPSCR, or FTZ in a host's MXCSR, has to clear it again, or bits may change.
//!
//! # Where things are
//!
//! * [`source`]: weights come as blocks of bytes, mapped or copied. [`blob`] says where each tensor lies and checks it
//!   all once; [`model`] hands tensors out by name.
//! * [`config`]: what a model computes, as a handful of choices; a family is none of them.
//! * [`kernel`]: the one place where a weight is multiplied. [`ops`]: norms, rotary positions, attention, MLPs, on slices. [`team`]:
//!   who else works on a pass.
//! * [`planner`]: what memory a program needs, for a [`kv_cache`] and [`scratch`].
//! * [`session`]: brings them together with a model and a kernel. `forward` takes tokens to hidden states, in steps of any
//!   size; `head` walks the output head once and pushes blocks of logits into sinks.
//! * [`sink`]: what becomes of logits. An arg-max, a dense buffer, a pair of sinks, or from [`loss`] the negative
//!   log-likelihood of a target.
//! * [`sample`]: logits to the token that comes next; [`generate`]: a prompt to the tokens that follow it.
//! * [`score`]: windows of a text, as [`window`] plans them, to losses; and the blob's self-test.
//! * [`Error`]: whatever of all this went wrong.
//!
//! # One token's way
//!
//! From a text's token to its neighbour's loss, for integer weights and an 8-bit cache; each file calls those behind it.
//!
//! 1. `score.rs` puts a window's tokens through, and asks for the losses of its targets.
//! 2. `session/passes.rs`, `session/state.rs`: what a pass may ask of whom.
//! 3. `session/forward.rs`: the stages of a pass, layer by layer.
//! 4. `session/weights.rs`: rows and vectors as floats, here those of the two embeddings.
//! 5. `ops/layer_norm.rs`, `ops/lanes.rs`, `ops/vector.rs`: each block's inputs, normalised.
//! 6. `session/product.rs`: rows of a matrix, as the source gives them, with those inputs; `team.rs`: by whom.
//! 7. `kernel/mod.rs`, `kernel/inputs.rs`, `kernel/rows.rs`, `kernel/matmul.rs`: what a kernel is handed.
//! 8. `kernel/portable.rs`, `ops/quantize.rs`: what every kernel computes with it.
//! 9. `kv_cache/layer.rs`, `kv_cache/shape.rs`, `ops/attention/integers.rs`: keys and values kept, and attended to.
//! 10. `ops/mlp.rs`, `ops/gelu.rs`: the hidden layer.
//! 11. `session/head.rs`, `sink.rs`: logits, block by block.
//! 12. `loss/log_sum_exp.rs`, `loss/cross_entropy.rs`: one of them among all, and gone.
//!
//! What they call beside each other is arithmetic on numbers and slices: `part.rs`, `format.rs`, and of `ops` `fixed`,
//! `reduce`, `pack`, `exp`, `bump` and `attention/blocks`. Other models pass `session/angles.rs`, `ops/rotary.rs`,
//! `ops/rms_norm.rs` and `ops/silu.rs` too.
//!
//! Nothing imports upward: numbers know no models, models no sessions, and losses only logits. What a firmware needs is
//! named at the crate's root too; inside, each module names the one that a thing lives in.
//!
//! # What may change
//!
//! Enums of errors, stages and outcomes grow: a `match` on them needs a last arm for what is not there yet. Those of a
//! model's choices ([`Gelu`], [`format::Format`], [`config::Activations`], [`KvType`]) can be matched whole: what computes
//! or converts a model has to know each of them, and finds out from the compiler when there is another.
//!
//! # Features
//!
//! Those of [`features`] are on by default, and a program leaves out what its models never use: `gpt2`, `gpt-neo`, `opt`,
//! `gpt-neox`, `llama`, `qwen`, `gemma` and `microgpt` gather the choices of a family, `formats` all ways to store a model. `cortex-m3`,
//! `cortex-m-dsp` and `cortex-m-mve` bring [kernels](guide::kernels); `embedded-storage` the source `Nor`, for weights in
//! a flash behind SPI; `defmt` logs errors and configurations by [defmt](https://defmt.ferrous-systems.com).
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "conformance"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod any_error;
pub mod blob;
pub mod config;
pub mod crc;
pub mod error;
pub mod features;
pub mod format;
pub mod generate;
pub mod guide;
pub mod kernel;
pub mod kv_cache;
pub mod loss;
pub mod model;
pub mod ops;
mod part;
pub mod planner;
pub mod sample;
pub mod score;
pub mod scratch;
pub mod session;
pub mod sink;
pub mod source;
pub mod team;
pub mod tokenizer;
pub mod window;

pub use any_error::Error;
pub use config::{Config, Gelu, TokenId};
pub use generate::{Generation, WhenFull};
#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
pub use kernel::CortexMDsp;
#[cfg(all(target_arch = "arm", feature = "cortex-m-mve"))]
pub use kernel::CortexMMve;
pub use kernel::{Kernel, Portable, Scalar};
pub use kv_cache::{KvCache, KvSize, KvType};
pub use loss::{CrossEntropy, Score};
pub use model::Model;
pub use planner::{Need, Order, Run};
pub use sample::{Sampler, Settings};
pub use score::{SelfTestOutcome, run_long_self_test, run_self_test, score_window};
pub use scratch::{Batch, Scratch, ScratchSize};
pub use session::Session;
pub use sink::{ArgMax, LogitSink};
#[cfg(feature = "embedded-storage")]
pub use source::Nor;
pub use source::{Aligned, Copying, Mapped, ReadAt, ReadError, Source};
pub use team::{Solo, Team};
pub use tokenizer::{Decoder, Tokenizer};
pub use window::{Convention, Window};
