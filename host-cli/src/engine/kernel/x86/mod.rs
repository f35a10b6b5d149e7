//! Kernels of x86-64's vector units. Activations of both widths are 16-bit integers here: one of 8 bits times its group's
//! scale is no more than `127 * 255`.
#![allow(unsafe_code)]

mod attention;
mod attention_avx512;
mod bump;
mod lanes;
mod lanes_avx512;
mod pack;
mod positions;
mod row;
mod softmax;
mod softmax_avx512;
mod tile;
mod tile_avx2;
mod tile_avx512;
mod walk;

pub use lanes::Avx2Lanes;
pub use lanes_avx512::Avx512Lanes;

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Portable, Rounding};
use emberlm_core::ops::quantize::I8_GROUP;

use self::tile::{Tile, multiply};
use self::tile_avx2::Avx2Tile;
use self::tile_avx512::Avx512Tile;

/// AVX2. Exists only where the processor has it.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(Avx2Tile);

/// AVX-512 with its products of 16-bit integers (F, BW, VNNI). Exists only where the processor has them.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(Avx512Tile);

impl Avx2 {
    /// The kernel, where the processor can run it.
    pub fn detect() -> Option<Self> {
        Avx2Tile::detect().map(Self)
    }
}

impl Avx512 {
    /// The kernel, where the processor can run it.
    pub fn detect() -> Option<Self> {
        Avx512Tile::detect().map(Self)
    }
}

macro_rules! kernel {
    ($kernel:ty, $lanes:ty) => {
        impl $kernel {
            /// Does nothing but multiply what is in registers, `rounds` times; says how many products there were.
            pub fn multiply_registers(&self, rounds: u64) -> u64 {
                self.0.multiply_registers(rounds)
            }
        }

        impl Kernel for $kernel {
            type Lanes = $lanes;

            fn lanes(&self) -> &$lanes {
                self.0.lanes()
            }

            fn quantize_i16(&self, rounding: Rounding<'_>) {
                // SAFETY: the kernel exists only where the processor has AVX2.
                unsafe { quantize_i16(rounding) }
            }

            fn quantize_i8(&self, rounding: Rounding<'_>) {
                // SAFETY: as above.
                unsafe { quantize_i8(rounding) }
            }

            fn matmul_f32(&self, matmul: F32Matmul<'_>) {
                // SAFETY: as above.
                unsafe { matmul_f32(matmul) }
            }

            fn matmul_i16(&self, matmul: Matmul<'_>) {
                multiply(&self.0, matmul);
            }

            fn matmul_i8(&self, matmul: Matmul<'_>) {
                multiply(&self.0, matmul);
            }
        }
    };
}

kernel!(Avx2, Avx2Lanes);
kernel!(Avx512, Avx512Lanes);

/// Has what lies `ahead` bytes behind the address fetched into the second cache.
#[inline]
pub(super) fn prefetch(at: *const u8, ahead: usize) {
    // SAFETY: every x86-64 has the instruction, which may be given any address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(ahead).cast::<i8>()) };
}

/// The portable kernel's code, compiled for eight lanes: its stripes are made for them.
#[target_feature(enable = "avx2")]
fn matmul_f32(matmul: F32Matmul<'_>) {
    Portable.matmul_f32(matmul);
}

#[target_feature(enable = "avx2")]
fn quantize_i16(rounding: Rounding<'_>) {
    Portable.quantize_i16(rounding);
}

/// 8-bit integers as the portable kernel rounds them, each times its group's scale.
#[target_feature(enable = "avx2")]
fn quantize_i8(rounding: Rounding<'_>) {
    let mut bytes = Vec::new();
    rounding.each(|words, x| {
        bytes.resize(emberlm_core::ops::quantize::i8_words(x.len()), 0);
        let scale = emberlm_core::ops::quantize::quantize_i8(&mut bytes, x);
        let (integers, scales) = bytes.split_at(x.len().div_ceil(4));
        words.fill(0);
        let groups = words.chunks_mut(I8_GROUP / 2).zip(integers.chunks(I8_GROUP / 4)).zip(scales);
        for ((words, integers), &scale) in groups {
            for (pair, four) in words.chunks_mut(2).zip(integers) {
                let [a, b, c, d] =
                    four.to_le_bytes().map(|byte| (i32::from(byte as i8) * scale as i32) as u32 & 0xFFFF);
                for (word, both) in pair.iter_mut().zip([a | b << 16, c | d << 16]) {
                    *word = both;
                }
            }
        }
        scale
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::format::Format;
    use emberlm_core::kernel::conformance::{self, Product, Random, Width};

    fn check(kernel: &impl Kernel) {
        for seed in 1..=8 {
            conformance::check(kernel, &mut Random::new(seed)).unwrap_or_else(|mismatch| panic!("{seed}: {mismatch}"));
        }
    }

    /// What is not tested may not pass.
    const NONE: &str = "this processor cannot run what the test is of: leave it out by `--skip`, as scripts/test does";

    fn bits(product: &Product, kernel: &impl Kernel, width: Width, [n_rows, n]: [usize; 2]) -> Vec<u32> {
        let mut out = vec![f32::NAN; n_rows * n];
        product.multiply(&mut out, kernel, &product.inputs(kernel, width), width, n_rows);
        out.into_iter().map(f32::to_bits).collect()
    }

    /// More rows than a tile has, and more positions than are under way together.
    fn check_many(kernel: &impl Kernel) {
        let mut random = Random::new(9);
        for format in Format::ALL.into_iter().filter(|format| format.packing().is_some()) {
            for (n_in, n_rows, n) in [(130, 77, 17), (64, 33, 11), (321, 40, 8)] {
                let product = Product::new(format, n_in, n_rows, n, &mut random);
                for width in [Width::I16, Width::I8] {
                    let shape = [n_rows, n];
                    let same = bits(&product, kernel, width, shape) == bits(&product, &Portable, width, shape);
                    assert!(same, "{format:?} {n_in} {n_rows} {n}");
                }
            }
        }
    }

    #[test]
    fn avx2_gives_the_portable_kernels_bits() {
        let kernel = Avx2::detect().expect(NONE);
        check(&kernel);
        check_many(&kernel);
    }

    #[test]
    fn avx512_gives_the_portable_kernels_bits() {
        let kernel = Avx512::detect().expect(NONE);
        check(&kernel);
        check_many(&kernel);
    }
}
