//! Kernels of x86-64's vector units. Activations of both widths are 16-bit integers here: one of 8 bits times its group's
//! scale is no more than `127 * 255`.
#![allow(unsafe_code)]

mod attention;
mod bump;
mod lanes;
mod pack;
mod positions;
mod row;
mod softmax;
mod tile;
mod tile_avx2;
mod tile_avx512;

pub use lanes::Avx2Lanes;

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
    ($kernel:ty) => {
        impl Kernel for $kernel {
            type Lanes = Avx2Lanes;

            fn lanes(&self) -> &Avx2Lanes {
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

kernel!(Avx2);
kernel!(Avx512);

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
    use emberlm_core::kernel::conformance::{self, Random};

    fn check(kernel: &impl Kernel) {
        for seed in 1..=8 {
            conformance::check(kernel, &mut Random::new(seed)).unwrap_or_else(|mismatch| panic!("{seed}: {mismatch}"));
        }
    }

    /// What is not tested may not pass.
    const NONE: &str = "this processor cannot run what the test is of: leave it out by `--skip`, as scripts/test does";

    #[test]
    fn avx2_gives_the_portable_kernels_bits() {
        check(&Avx2::detect().expect(NONE));
    }

    #[test]
    fn avx512_gives_the_portable_kernels_bits() {
        check(&Avx512::detect().expect(NONE));
    }
}
