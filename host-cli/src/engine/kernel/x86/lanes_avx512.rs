//! What a pass does lane by lane, with AVX-512 where that is faster than [AVX2](super::lanes).

use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::Lanes;
use emberlm_core::ops::vector::Update;

use super::attention_avx512::{F16, F32, add_weighted, dots};
use super::lanes::Avx2Lanes;
use super::softmax_avx512::exp_terms;

/// Exists only where the processor has AVX-512 (F, BW, DQ, VL), and AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Lanes(Avx2Lanes);

impl Avx512Lanes {
    /// These lanes, where the processor has them.
    pub fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        Avx2Lanes::detect().filter(|_| has).map(Self)
    }

    /// Half of them.
    pub(super) const fn avx2(&self) -> &Avx2Lanes {
        &self.0
    }
}

impl Lanes for Avx512Lanes {
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        self.0.dots_i8(sums, query, keys);
    }

    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        self.0.weigh_i8(values, stride, weights)
    }

    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        // SAFETY: lanes exist only where the processor has AVX-512.
        unsafe { dots::<F32>(scores, query, keys) }
    }

    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { add_weighted::<F32>(out, weights, values) }
    }

    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { dots::<F16>(scores, query, keys) }
    }

    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        // SAFETY: as above.
        unsafe { add_weighted::<F16>(out, weights, values) }
    }

    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        // SAFETY: as above.
        unsafe { exp_terms(x, exponents) }
    }

    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
        self.0.weigh_terms(factors, exponents, reference, sum)
    }

    fn add_exponentials(&self, sum: u64, reference: i32, logits: &[f32]) -> (u64, usize) {
        self.0.add_exponentials(sum, reference, logits)
    }

    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        self.0.less_bump(out, x, cubics, far, spacing);
    }

    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        self.0.update(x, floats, update);
    }

    fn scale(&self, x: &mut [f32], by: f32) {
        self.0.scale(x, by);
    }

    fn sqrt(&self, x: f32) -> f32 {
        self.0.sqrt(x)
    }
}
