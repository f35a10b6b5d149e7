//! The float functions of the forward pass, on slices. They know nothing of models.
//!
//! Everything here is made of integer operations, and of basic IEEE 754 single precision operations in one defined order
//! with no fused multiply-add, so that every target computes the same bits. `FORMAT.md`, chapter Arithmetic, specifies
//! each.

pub(crate) mod alone;
pub mod attention;
pub mod bump;
pub mod exp;
pub mod fixed;
pub mod gelu;
mod gelu_table;
pub mod lanes;
pub mod layer_norm;
pub mod mlp;
pub mod pack;
pub mod quantize;
pub mod reduce;
pub mod relu;
pub mod rms_norm;
pub mod rotary;

pub mod silu;
mod silu_table;
pub mod vector;
