//! The kernel of 64-bit Arm's vector unit.
#![allow(unsafe_code)]

mod tile;
pub mod turn;

use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Portable, Rounding};
use emberlm_core::ops::lanes::Plain;

use self::tile::NeonTile;
use super::tile::{Tile, multiply};
use super::wide;

/// NEON, which every 64-bit Arm has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neon(NeonTile);

impl Neon {
    /// Does nothing but multiply what is in registers, `rounds` times; says how many products there were.
    pub fn multiply_registers(&self, rounds: u64) -> u64 {
        self.0.multiply_registers(rounds)
    }
}

impl Kernel for Neon {
    type Lanes = Plain;

    fn lanes(&self) -> &Plain {
        self.0.lanes()
    }

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        Portable.quantize_i16(rounding);
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        wide::quantize_i8(rounding);
    }

    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        Portable.matmul_f32(matmul);
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        multiply(&self.0, matmul);
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        multiply(&self.0, matmul);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::conforms;
    use super::*;

    #[test]
    fn neon_gives_the_portable_kernels_bits() {
        conforms(&Neon::default());
    }
}
