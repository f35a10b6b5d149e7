//! Products with the DSP extension of Cortex-M4, M7 and M33: two 16-bit products an instruction.
//!
//! Whole groups go through [`loops`] written by hand, over activations in the order in which unpacking yields the
//! weights ([`layout`]): three rows share one position's activations, or two or four positions one row's weights.
//! Weights of two planes become bytes first ([`unpack`]). A row's ragged end goes through the same instructions in Rust
//! ([`rest`]).
//!
//! 8-bit activations under integer scales are 16-bit ones: each times its group's scale stays below 2^15, and the row's
//! sum is the same integer.
#![allow(unsafe_code)]

#[cfg(target_abi = "eabihf")]
mod attention;
#[cfg(target_abi = "eabihf")]
mod bump;
mod finish;
mod instructions;
mod integers;
mod layout;
mod loops;
mod product;
mod rest;
#[cfg(target_abi = "eabihf")]
mod single;
#[cfg(target_abi = "eabihf")]
mod softmax;
mod unpack;
#[cfg(target_abi = "eabihf")]
mod vector;

use super::{F32Matmul, Kernel, Matmul, Portable, Rounding};
use crate::ops::attention::HeadRows;
use crate::ops::lanes::Lanes;
use crate::ops::vector::Update;
#[cfg(not(target_abi = "eabihf"))]
use crate::ops::{attention, attention as softmax, bump, vector};

/// For processors with the DSP extension: running it elsewhere is an undefined instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMDsp;

impl Kernel for CortexMDsp {
    type Lanes = Self;

    #[inline(always)]
    fn lanes(&self) -> &Self {
        self
    }

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        layout::quantize::<false>(rounding);
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        layout::quantize::<true>(rounding);
    }

    #[inline(always)]
    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        Portable.matmul_f32(matmul);
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        product::multiply(matmul.into_parts());
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        self.matmul_i16(matmul);
    }
}

impl Lanes for CortexMDsp {
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        integers::dots_i8(sums, query, keys);
    }

    #[inline(always)]
    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        integers::weigh_i8(values, stride, weights)
    }

    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f32(scores, query, keys);
    }

    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        attention::dots_f16(scores, query, keys);
    }

    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f32(out, weights, values);
    }

    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        attention::add_weighted_f16(out, weights, values);
    }

    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        softmax::exp_terms(x, exponents)
    }

    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
        softmax::weigh_terms(factors, exponents, reference, sum)
    }

    #[inline(always)]
    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        bump::less_bump(out, x, cubics, far, spacing);
    }

    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        vector::update(x, floats, update);
    }

    fn scale(&self, x: &mut [f32], by: f32) {
        vector::scale(x, by);
    }

    fn sqrt(&self, x: f32) -> f32 {
        vector::sqrt(x)
    }
}
