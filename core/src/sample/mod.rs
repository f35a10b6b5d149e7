//! Sampling: one pass of logits to the token that comes next.
//!
//! * [`GumbelMax`] draws from the softmax at a temperature, in constant memory; `noise` is what it adds to each logit.
//! * [`Candidates`] keeps the most likely tokens, at most [`MAX_CANDIDATES`], for top-k, top-p and min-p.
//! * [`Recent`] holds the last [`RECENT`] tokens, which a repetition penalty makes less likely.
//! * [`Sampler`] is all of them, in this order: penalty, temperature, top-k, top-p, min-p; as [`Settings`] say.
//!
//! The random numbers are those of PCG-XSH-RR 64/32, and every function of them is core's own or libm's: the same seed
//! and the same logits give the same tokens everywhere.

mod candidates;
mod gumbel_max;
mod noise;
mod recent;
mod sampler;
mod settings;

pub use candidates::{Candidate, Candidates, MAX_CANDIDATES};
pub use gumbel_max::GumbelMax;
pub use noise::{Generator, generator};
pub use recent::{RECENT, Recent};
pub use sampler::{Draw, Drawn, Sampler};
pub use settings::{Settings, SettingsError};
