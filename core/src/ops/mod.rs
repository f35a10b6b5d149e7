//! The float functions of the forward pass, on slices. They know nothing of models.
//!
//! Everything here is made of basic IEEE 754 single precision operations in one defined order, with no fused
//! multiply-add, so that every target computes the same bits. `FORMAT.md`, chapter Arithmetic, specifies each.

pub mod attention;
pub mod exp;
pub mod gelu;
pub mod layer_norm;
pub mod pack;
pub mod quantize;
pub mod reduce;
