//! The lanes of whichever kernel was chosen.

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::{Lanes, Plain};
use emberlm_core::ops::vector::Update;

/// The lanes of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum HostLanes {
    /// Any processor.
    Plain(Plain),
    /// x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(super::x86::Avx2Lanes),
    /// x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512(super::x86::Avx512Lanes),
}

/// Calls the chosen lanes' methods.
macro_rules! dispatch {
    ($(fn $method:ident $(<const $n:ident: usize>)? ($($argument:ident: $type:ty),*) $(-> $out:ty)?;)*) => {
        $(fn $method $(<const $n: usize>)? (&self, $($argument: $type),*) $(-> $out)? {
            match self {
                Self::Plain(lanes) => lanes.$method($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2(lanes) => lanes.$method($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512(lanes) => lanes.$method($($argument),*),
            }
        })*
    };
}

impl Lanes for HostLanes {
    dispatch! {
        fn dots_i8(sums: &mut [i32], query: &[u32], keys: HeadRows<'_>);
        fn weigh_i8(values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4];
        fn dots_f32(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>);
        fn add_weighted_f32(out: &mut [f32], weights: &[f32], values: HeadRows<'_>);
        fn dots_f16(scores: &mut [f32], query: &[f32], keys: HeadRows<'_>);
        fn add_weighted_f16(out: &mut [f32], weights: &[f32], values: HeadRows<'_>);
        fn exp_terms(x: &mut [f32], exponents: &mut [i32]) -> i32;
        fn weigh_terms(factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32;
        fn add_exponentials(sum: u64, reference: i32, logits: &[f32]) -> (u64, usize);
        fn less_bump<const N: usize>(out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32);
        fn update(x: &mut [f32], floats: &[[u8; 4]], update: Update);
        fn scale(x: &mut [f32], by: f32);
        fn sqrt(x: f32) -> f32;
    }
}
