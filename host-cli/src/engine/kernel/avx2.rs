//! Products with AVX2's 256-bit integers and floats.
#![allow(unsafe_code)]

use emberlm_core::format::Packing;
use emberlm_core::kernel::{
    F32Matmul, I8Position, I16Position, Kernel, Matmul, PackedRow, Parts, Portable, Position, Rounding, Unpacked,
    finish, signed_bytes,
};
use emberlm_core::ops::lanes::Plain;
use emberlm_core::ops::quantize::I8_GROUP;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi64, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_unpackhi_epi64, _mm256_add_epi32,
    _mm256_add_epi64, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_mul_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_srli_epi64,
};

/// Exists only where the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The kernel, where the processor can run it.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    type Lanes = Plain;

    fn lanes(&self) -> &Plain {
        &Plain
    }

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        Portable.quantize_i16(rounding);
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        Portable.quantize_i8(rounding);
    }

    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        // SAFETY: an `Avx2` exists only where the processor has AVX2.
        unsafe { matmul_f32(matmul) }
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        let parts = matmul.into_parts();
        // SAFETY: an `Avx2` exists only where the processor has AVX2.
        unsafe { multiply(parts.inputs.i16(), parts) }
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        let parts = matmul.into_parts();
        // SAFETY: an `Avx2` exists only where the processor has AVX2.
        unsafe { multiply(parts.inputs.i8(), parts) }
    }
}

/// The portable kernel's code, compiled for eight lanes: its stripes are made for them.
#[target_feature(enable = "avx2")]
fn matmul_f32(matmul: F32Matmul<'_>) {
    Portable.matmul_f32(matmul);
}

/// Positions whose sums are under way together, the weights unpacked and widened once.
const POSITIONS: usize = 4;

/// Activations that AVX2 can load.
trait Lanes: Position {
    /// Activations under one integer scale, `None` for as many as there are weights under one.
    const GROUP: Option<usize>;

    /// Sixteen activations from `first` on, widened.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn load(self, first: usize) -> __m256i;

    /// The integer scale of the activations from `first` on.
    fn scale(self, first: usize) -> i64;
}

impl Lanes for I16Position<'_> {
    const GROUP: Option<usize> = None;

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(self, first: usize) -> __m256i {
        let eight: &[u32; 8] = self.words[first / 2..].first_chunk().expect("eight words");
        // SAFETY: `eight` is 32 bytes long.
        unsafe { _mm256_loadu_si256(eight.as_ptr().cast::<__m256i>()) }
    }

    fn scale(self, _first: usize) -> i64 {
        1
    }
}

impl Lanes for I8Position<'_> {
    const GROUP: Option<usize> = Some(I8_GROUP);

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(self, first: usize) -> __m256i {
        let four: &[u32; 4] = self.words[first / 4..].first_chunk().expect("four words");
        // SAFETY: `four` is 16 bytes long.
        _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(four.as_ptr().cast::<__m128i>()) })
    }

    fn scale(self, first: usize) -> i64 {
        self.scales[first / I8_GROUP].into()
    }
}

#[target_feature(enable = "avx2")]
fn multiply<X: Lanes>(positions: impl Iterator<Item = X>, parts: Parts<'_>) {
    let Parts { out, inputs, rows, packing } = parts;
    let (n_in, n_rows, scales) = (rows.n_in(), rows.n(), inputs.scales());
    let positions: Vec<X> = positions.collect();
    for (r, row) in rows.iter().enumerate() {
        let row = PackedRow::new(row, packing, n_in);
        let mut put = |t: usize, sums: &[i64]| {
            for (i, &sum) in sums.iter().enumerate() {
                out[(t + i) * n_rows + r] = finish(sum, packing, n_in, row.row_scale, scales[t + i]);
            }
        };
        let (fours, rest) = positions.as_chunks::<POSITIONS>();
        for (i, &x) in fours.iter().enumerate() {
            put(i * POSITIONS, &row_sums(packing, row, n_in, x));
        }
        for (i, &x) in rest.iter().enumerate() {
            put(fours.len() * POSITIONS + i, &row_sums(packing, row, n_in, [x]));
        }
    }
}

/// One row's sums with `N` positions.
#[target_feature(enable = "avx2")]
#[inline]
fn row_sums<X: Lanes, const N: usize>(packing: Packing, row: PackedRow<'_>, n_in: usize, x: [X; N]) -> [i64; N] {
    let mut wide = [_mm256_setzero_si256(); N];
    let mut rest = [0; N];
    let mut buffer: Unpacked = [0; 32];
    let mut first = 0;
    for (bytes, scale) in row.groups(packing) {
        let integers = signed_bytes(packing, bytes, packing.group.min(n_in - first), &mut buffer);
        for part in integers.chunks(X::GROUP.unwrap_or(packing.group)) {
            let mut dots = [_mm256_setzero_si256(); N];
            let (chunks, tail) = part.as_chunks::<16>();
            for (c, chunk) in chunks.iter().enumerate() {
                // SAFETY: `chunk` is 16 bytes long.
                let weights = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>()) });
                for (dot, x) in dots.iter_mut().zip(x) {
                    // SAFETY: the caller's processor has AVX2.
                    let x = unsafe { x.load(first + 16 * c) };
                    *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(weights, x));
                }
            }
            for (wide, (dot, x)) in wide.iter_mut().zip(dots.into_iter().zip(x)) {
                let scales = _mm256_set1_epi64x(i64::from(scale) * x.scale(first));
                let even = _mm256_mul_epi32(dot, scales);
                let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(dot), scales);
                *wide = _mm256_add_epi64(*wide, _mm256_add_epi64(even, odd));
            }
            if !tail.is_empty() {
                for (rest, x) in rest.iter_mut().zip(x) {
                    *rest += x.from(first + 16 * chunks.len()).dot(tail) * i64::from(scale);
                }
            }
            first += part.len();
        }
    }
    std::array::from_fn(|i| lanes_sum(wide[i]) + rest[i])
}

#[target_feature(enable = "avx2")]
#[inline]
fn lanes_sum(x: __m256i) -> i64 {
    let pair = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    _mm_cvtsi128_si64(_mm_add_epi64(pair, _mm_unpackhi_epi64(pair, pair)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernel::HostKernel;
    use emberlm_core::kernel::conformance::{self, Random};

    /// What is not tested may not pass.
    const NONE: &str =
        "this processor has no AVX2, of which the test is: leave it out with `--skip avx2`, as scripts/test does";

    #[test]
    fn it_is_what_this_processor_runs() {
        assert!(matches!(HostKernel::detect(), HostKernel::Avx2(_)), "{NONE}");
    }

    #[test]
    fn gives_the_portable_kernels_bits() {
        let kernel = HostKernel::Avx2(Avx2::detect().expect(NONE));
        for seed in 1..=8 {
            conformance::check(&kernel, &mut Random::new(seed)).unwrap_or_else(|mismatch| panic!("{seed}: {mismatch}"));
        }
    }
}
