//! The suite itself: it passes what is right, and finds what is off.

use super::*;
use crate::kernel::{F32Matmul, F32Parts, Matmul, Parts, Portable, Rounding, Scalar};
use crate::ops::attention::HeadRows;
use crate::ops::lanes::{Lanes, Plain};
use crate::ops::vector::Update;

#[test]
fn the_scalar_kernel_gives_the_portable_bits() {
    let counts = check(&Scalar, &mut Random::default()).unwrap();
    let few = if cfg!(miri) { 30 } else { 100 };
    assert!(counts.products > few && counts.heads > few && counts.vectors > few, "{counts:?}");
}

/// The portable kernel with one method off by a bit.
#[derive(Clone, Copy)]
struct Off(usize);

impl Off {
    fn off(self, method: usize, x: Option<&mut f32>) {
        if self.0 == method {
            x.into_iter().for_each(|x| *x = f32::from_bits(x.to_bits() ^ 1));
        }
    }
}

impl Kernel for Off {
    type Lanes = Self;

    fn lanes(&self) -> &Self {
        self
    }

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        Portable.quantize_i16(rounding);
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        Portable.quantize_i8(rounding);
    }

    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        let F32Parts { out, inputs, rows } = matmul.into_parts();
        Portable.matmul_f32(F32Matmul::new(out, inputs, rows).unwrap());
        self.off(0, out.first_mut());
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        let Parts { out, inputs, rows, .. } = matmul.into_parts();
        Portable.matmul_i16(Matmul::new(out, inputs, rows).unwrap());
        self.off(1, out.first_mut());
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        let Parts { out, inputs, rows, .. } = matmul.into_parts();
        Portable.matmul_i8(Matmul::new(out, inputs, rows).unwrap());
        self.off(2, out.last_mut());
    }
}

impl Lanes for Off {
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        Plain.dots_i8(sums, query, keys);
        sums[0] ^= i32::from(self.0 == 3);
    }

    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        let mut sums = Plain.weigh_i8(values, stride, weights);
        sums[3] ^= i32::from(self.0 == 4);
        sums
    }

    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        Plain.dots_f32(scores, query, keys);
        self.off(5, scores.last_mut());
    }

    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        Plain.dots_f16(scores, query, keys);
        self.off(6, scores.last_mut());
    }

    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        Plain.add_weighted_f32(out, weights, values);
        self.off(7, out.last_mut());
    }

    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        Plain.add_weighted_f16(out, weights, values);
        self.off(8, out.last_mut());
    }

    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        let most = Plain.exp_terms(x, exponents);
        exponents.iter_mut().for_each(|exponent| *exponent += i32::from(self.0 == 12));
        most + i32::from(self.0 == 13)
    }

    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
        let mut sum = Plain.weigh_terms(factors, exponents, reference, sum);
        self.off(14, factors.last_mut());
        self.off(15, Some(&mut sum));
        sum
    }

    fn add_exponentials(&self, sum: u64, _: i32, _: &[f32]) -> (u64, usize) {
        (sum ^ u64::from(self.0 == 17), 0)
    }

    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        Plain.less_bump(out, x, cubics, far, spacing);
        self.off(16, out.last_mut());
    }

    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        Plain.update(x, floats, update);
        self.off(9, x.last_mut().filter(|_| update == Update::Scale));
    }

    fn scale(&self, x: &mut [f32], by: f32) {
        Plain.scale(x, by);
        self.off(10, x.last_mut());
    }

    fn sqrt(&self, x: f32) -> f32 {
        let mut root = Plain.sqrt(x);
        self.off(11, Some(&mut root));
        root
    }
}

#[test]
#[cfg_attr(miri, ignore = "runs the suite many times")]
fn a_bit_that_is_off_is_found_in_every_method() {
    assert!(check(&Off(usize::MAX), &mut Random::default()).is_ok());
    for method in 0..18 {
        let found = check(&Off(method), &mut Random::default()).unwrap_err();
        let expected = match method {
            0..3 => matches!(found, Mismatch::Product { .. }),
            3..9 => matches!(found, Mismatch::Head { .. }),
            _ => matches!(found, Mismatch::Vector { .. }),
        };
        assert!(expected, "{method}: {found}");
    }
}
