//! Kernels of x86-64's vector units.
#![allow(unsafe_code)]

mod attention;
mod attention_avx512;
mod bump;
mod lanes;
mod lanes_avx512;
mod row;
mod softmax;
mod softmax_avx512;
mod tile_avx2;
mod tile_avx512;
pub mod turn;

pub use lanes::Avx2Lanes;
pub use lanes_avx512::Avx512Lanes;

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Portable, Rounding};

use self::tile_avx2::Avx2Tile;
use self::tile_avx512::Avx512Tile;
use super::tile::{Tile, multiply};
use super::wide;

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

#[target_feature(enable = "avx2")]
fn quantize_i8(rounding: Rounding<'_>) {
    wide::quantize_i8(rounding);
}

#[cfg(test)]
mod tests {
    use super::super::tests::conforms;
    use super::*;

    /// What is not tested may not pass.
    const NONE: &str = "this processor cannot run what the test is of: leave it out by `--skip`, as scripts/test does";

    #[test]
    fn avx2_gives_the_portable_kernels_bits() {
        conforms(&Avx2::detect().expect(NONE));
    }

    #[test]
    fn avx512_gives_the_portable_kernels_bits() {
        conforms(&Avx512::detect().expect(NONE));
    }
}
