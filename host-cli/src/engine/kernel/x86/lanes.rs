//! What a pass does lane by lane, with AVX2.

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::{Lanes, Plain};
use emberlm_core::ops::vector::Update;

use super::attention::{F16, F32};
use super::{attention, bump, softmax};

/// Exists only where the processor has AVX2 and F16C, which no processor with AVX2 lacks.
#[derive(Clone, Copy, Debug)]
pub struct Avx2Lanes(());

impl Avx2Lanes {
    /// These lanes, where the processor has them.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")).then_some(Self(()))
    }
}

/// Plain Rust, compiled for eight lanes.
macro_rules! compiled {
    ($method:ident($($argument:ident: $type:ty),*) $(-> $out:ty)?) => {
        fn $method(&self, $($argument: $type),*) $(-> $out)? {
            #[target_feature(enable = "avx2")]
            fn compiled($($argument: $type),*) $(-> $out)? {
                Plain.$method($($argument),*)
            }
            // SAFETY: lanes exist only where the processor has AVX2.
            unsafe { compiled($($argument),*) }
        }
    };
}

impl Lanes for Avx2Lanes {
    compiled!(weigh_i8(values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4]);
    compiled!(weigh_terms(factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32);
    compiled!(update(x: &mut [f32], floats: &[[u8; 4]], update: Update));
    compiled!(scale(x: &mut [f32], by: f32));

    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        // SAFETY: lanes exist only where the processor has AVX2 and F16C.
        unsafe { attention::dots_i8(sums, query, keys) }
    }

    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { attention::dots::<F32>(scores, query, keys) }
    }

    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { attention::add_weighted::<F32>(out, weights, values) }
    }

    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { attention::dots::<F16>(scores, query, keys) }
    }

    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { attention::add_weighted::<F16>(out, weights, values) }
    }

    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        // SAFETY: as above.
        unsafe { softmax::exp_terms(x, exponents) }
    }

    fn add_exponentials(&self, sum: u64, reference: i32, logits: &[f32]) -> (u64, usize) {
        // SAFETY: as above.
        unsafe { softmax::add_exponentials(sum, reference, logits) }
    }

    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        // SAFETY: as above.
        unsafe { bump::less_bump(out, x, cubics, far, spacing) }
    }

    fn sqrt(&self, x: f32) -> f32 {
        x.sqrt()
    }
}
