//! Rows in the lanes of four vectors of four: `smull`, `smull2`, `addp` and `add`.

use std::hint::black_box;

use emberlm_core::format::Packing;
use emberlm_core::kernel::{Inputs, Kernel, Matmul, Portable, Rows};
use emberlm_core::ops::lanes::Plain;

use super::super::pack::Packed;
use super::super::positions::Positions;
use super::super::tile::{Outputs, Tile};
use super::super::walk::walk;
use super::turn::Unit;

/// Every 64-bit Arm has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeonTile(Plain, Unit);

/// Rows in the lanes of a vector.
const LANES: usize = 4;

/// Vectors of rows.
const VECTORS: usize = 4;

/// Rows of a tile.
const ROWS: usize = VECTORS * LANES;

/// Positions whose sums are in registers together.
const POSITIONS: usize = 4;

impl Tile for NeonTile {
    const ROWS: usize = ROWS;

    type Lanes = Plain;

    fn lanes(&self) -> &Plain {
        &self.0
    }

    fn unit(&self) -> &Unit {
        &self.1
    }

    fn multiply_registers(self, rounds: u64) -> u64 {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { registers(rounds) }
    }

    /// The activations are those of the portable kernel's products by 16 bits.
    fn multiply_rows(&self, out: &mut [f32], rows: Rows<'_>, _: Packing, positions: Positions<'_>) {
        let inputs = Inputs::new(positions.words, positions.scales, rows.n_in());
        if let Some(matmul) = inputs.and_then(|inputs| Matmul::new(out, inputs, rows)) {
            Portable.matmul_i16(matmul);
        }
    }

    fn products(self, out: Outputs<'_>, rows: &Packed, positions: Positions<'_>) {
        // SAFETY: as above.
        unsafe { products(out, rows, positions) }
    }
}

walk!("neon", vector);

/// Four lanes of 32 bits, or two of 64.
mod vector {
    use std::arch::aarch64::{
        int32x4_t, int64x2_t, vaddq_s32, vandq_s32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vdupq_n_s64, vget_low_s16,
        vget_low_s32, vld1q_f32, vld1q_s32, vld1q_u32, vmlal_s32, vmull_high_s16, vmull_s16, vmulq_f32, vpaddq_s32,
        vreinterpretq_s16_s32, vreinterpretq_s32_s64, vreinterpretq_s32_u32, vreinterpretq_s64_s32, vshlq_n_s32,
        vshlq_s64, vshrq_n_s32, vshrq_n_s64, vst1q_f32, vsubq_s32, vuzp1q_s32, vzip1q_s32,
    };

    use super::LANES;

    #[target_feature(enable = "neon")]
    #[inline]
    pub fn zero() -> int32x4_t {
        vdupq_n_s32(0)
    }

    #[target_feature(enable = "neon")]
    #[inline]
    pub fn load(words: &[u32; LANES]) -> int32x4_t {
        // SAFETY: `words` is 16 bytes long.
        vreinterpretq_s32_u32(unsafe { vld1q_u32(words.as_ptr()) })
    }

    #[target_feature(enable = "neon")]
    #[inline]
    pub fn load_signed(words: &[i32; LANES]) -> int32x4_t {
        // SAFETY: `words` is 16 bytes long.
        unsafe { vld1q_s32(words.as_ptr()) }
    }

    #[target_feature(enable = "neon")]
    #[inline]
    pub fn splat(word: u32) -> int32x4_t {
        vdupq_n_s32(word as i32)
    }

    /// `sum` and the two products of 16 bits in each lane.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn add_products(sum: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
        let (low, high) = (vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
        vaddq_s32(sum, vpaddq_s32(low, high))
    }

    /// The odd lanes in the even ones' places.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn odd(x: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_s64(vshrq_n_s64::<32>(vreinterpretq_s64_s32(x)))
    }

    /// `sum` and the products of the even lanes, of 64 bits each.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn add_wide(sum: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        let even = |x| vget_low_s32(vuzp1q_s32(x, x));
        vreinterpretq_s32_s64(vmlal_s32(vreinterpretq_s64_s32(sum), even(a), even(b)))
    }

    #[target_feature(enable = "neon")]
    #[inline]
    pub fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vaddq_s32(a, b)
    }

    /// The signed upper 16 bits of each lane.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn high_half(x: int32x4_t) -> int32x4_t {
        vshrq_n_s32::<16>(x)
    }

    /// The even lanes' sums and the odd ones', of 64 bits each, out of the sums of upper halves and the wrapped whole sums: the
    /// lower halves are what these leave.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn unfold(high: int32x4_t, all: int32x4_t) -> (int32x4_t, int32x4_t) {
        let low = vsubq_s32(all, vshlq_n_s32::<16>(high));
        let lower = vreinterpretq_s32_s64(vdupq_n_s64(0xFFFF_FFFF));
        let (even, odd) = (vandq_s32(low, lower), vandq_s32(odd(low), lower));
        let unit = splat(1 << 16);
        (add_wide(even, high, unit), add_wide(odd, self::odd(high), unit))
    }

    /// `(f32(sum >> shift) * row_scale) * unit` of the even lanes' sums and the odd ones'.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn finish(
        (even, odd): (int32x4_t, int32x4_t),
        shift: u32,
        row_scales: &[f32; LANES],
        unit: f32,
    ) -> [f32; LANES] {
        // 32 bits are left of each sum.
        let down: int64x2_t = vdupq_n_s64(-i64::from(shift));
        let even = vreinterpretq_s32_s64(vshlq_s64(vreinterpretq_s64_s32(even), down));
        let odd = vreinterpretq_s32_s64(vshlq_s64(vreinterpretq_s64_s32(odd), down));
        let sums = vzip1q_s32(vuzp1q_s32(even, even), vuzp1q_s32(odd, odd));
        let mut lanes = [0.0; LANES];
        // SAFETY: both are 16 bytes long.
        unsafe {
            let scaled = vmulq_f32(vcvtq_f32_s32(sums), vld1q_f32(row_scales.as_ptr()));
            vst1q_f32(lanes.as_mut_ptr(), vmulq_f32(scaled, vdupq_n_f32(unit)));
        }
        lanes
    }
}
