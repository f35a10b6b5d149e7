//! Where the loops want the activations: positions in tiles, whose words alternate.
//!
//! Positions come in tiles of 4, then of 2 and of 1. A tile of `P` positions takes the words of its positions together.
//! For each full group of columns it has, for every eight of them, four words of the tile's first position, four of the
//! second, and so on; behind the full groups, for every four columns that are left, two words of each position. A group
//! under unsigned weights also has a word for each position, `-2^(bits - 1)` times the sum of the activations, which makes
//! up for the weights' offset: in front of the group, or in a tile of one position behind its first four words.
//!
//! Four words are eight activations, `a` to `h` in the order of the weights' bytes: `a c | b d | e g | f h`. Nibbles have
//! their eight columns in four bytes: the first four of a half group, then the first four of the other half.

use super::instructions::smlad;
use crate::features::BATCHES;
use crate::format::Packing;
use crate::kernel::{Rounding, RoundingParts, input_words};
use crate::ops::quantize::{self, I8_GROUP, low_bits, round_i8};
use crate::part::{part_mut, put, split, split_mut};

/// Sizes of tiles.
pub const FOUR: usize = 4;
pub const TWO: usize = 2;

/// Cuts `n` positions into tiles: the first position of each, and how many it has.
pub fn tiles(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    core::iter::from_fn(move || {
        let size = match n - first {
            0 => return None,
            _ if !BATCHES => 1,
            1 => 1,
            2 | 3 => TWO,
            _ => FOUR,
        };
        first += size;
        Some((first - size, size))
    })
}

/// What a full group looks like.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Columns, a multiple of 32.
    pub columns: usize,
    /// Words of one position's activations under it, the correction included.
    pub words: usize,
    /// What the sum of the activations is multiplied by; 0 where weights are signed and there is no correction.
    offset: i32,
}

impl Group {
    pub const fn new(packing: Packing) -> Self {
        let (columns, signed) = (packing.group, !(packing.is_nibbles() || packing.has_two_planes()));
        let offset = if signed { 0 } else { packing.range().0 };
        Self { columns, words: columns / 2 + !signed as usize, offset }
    }
}

/// Writes activations `x` `[positions][n_in]` as integers of 16 bits into `words` `[positions][i16_words]`, and their
/// scales. `BYTES`: what they are rounded to is 8 bits under a scale a group, of which the product is written.
pub fn quantize<const BYTES: bool>(rounding: Rounding<'_>) {
    let RoundingParts { words, scales, x, packing } = rounding.into_parts();
    let (group, len) = (Group::new(packing), input_words(x.n_in()));
    let mut positions = x.iter().zip(&mut *scales);
    for (first, size) in tiles(x.n()) {
        let words = part_mut(words, first * len..(first + size) * len);
        for (position, (x, scale)) in positions.by_ref().take(size).enumerate() {
            let rounding = if BYTES { quantize::Rounding::to_i8(x) } else { quantize::Rounding::to_i16(x) };
            *scale = rounding.scale;
            let place = Place { position, size, group };
            if packing.is_nibbles() {
                place.write::<BYTES, true>(words, x, &rounding);
            } else {
                place.write::<BYTES, false>(words, x, &rounding);
            }
        }
    }
}

/// One position's words in its tile.
struct Place {
    position: usize,
    size: usize,
    group: Group,
}

impl Place {
    #[inline(never)]
    fn write<const BYTES: bool, const NIBBLES: bool>(
        &self,
        words: &mut [u32],
        x: &[f32],
        rounding: &quantize::Rounding,
    ) {
        let Self { position, size, group } = *self;
        let (full, rest) = x.as_chunks::<I8_GROUP>();
        let halves = group.columns / I8_GROUP;
        let groups = full.len().checked_div(halves).unwrap_or_default();
        let (words, behind) = split_mut(words, size * group.words * groups);
        let (words, mut at) = (words.as_mut_ptr(), 0);
        let (full, odd) = split(full, groups * halves);
        for x in full {
            let step = Step::new::<BYTES>(x, rounding);
            let corrected = group.offset != 0;
            let start = at + 4 * position + if corrected && size > 1 { size } else { 0 };
            // In a tile of one position the correction follows the first four words.
            let gap = usize::from(corrected && size == 1);
            let places = [0, 1, 2, 3].map(|i| start + 4 * size * i + if i > 0 { gap } else { 0 });
            let sum = if cfg!(target_abi = "eabihf") && !BYTES {
                // SAFETY: a tile's groups have `group.words` words for each position, and these are the places in them.
                unsafe { round::group::<NIBBLES>(words.add(start), x, step.inverse, size, gap) }
            } else {
                let mut sum = 0;
                for (i, place) in places.into_iter().enumerate() {
                    let (low, high) = if NIBBLES { (4 * i, 16 + 4 * i) } else { (8 * i, 8 * i + 4) };
                    let [a, b] = four::<BYTES>([x[low], x[low + 1], x[low + 2], x[low + 3]], step);
                    let [c, d] = four::<BYTES>([x[high], x[high + 1], x[high + 2], x[high + 3]], step);
                    // SAFETY: as above.
                    unsafe { words.add(place).cast::<[u32; 4]>().write([a, b, c, d]) };
                    if corrected {
                        sum = [a, b, c, d].into_iter().fold(sum, |sum, pair| smlad(pair, 0x0001_0001, sum));
                    }
                }
                sum
            };
            at += 16 * size;
            if corrected {
                let place = if size == 1 { start + 4 } else { start - size - 3 * position };
                // SAFETY: as above.
                unsafe { words.add(place).write(group.offset.wrapping_mul(sum) as u32) };
                at += size;
            }
        }
        // What is left of the row, a half group or more, then what is less than that.
        let pieces = odd.iter().map(|x| &x[..]).chain((!rest.is_empty()).then_some(rest));
        let (behind, mut place) = (behind.as_chunks_mut::<2>().0, position);
        for x in pieces {
            let step = Step::new::<BYTES>(x, rounding);
            for x in x.chunks(4) {
                put(behind, place, four::<BYTES>(core::array::from_fn(|i| x.get(i).copied().unwrap_or(0.0)), step));
                place += size;
            }
        }
    }
}

/// How up to [`I8_GROUP`] activations become integers.
#[derive(Clone, Copy)]
struct Step {
    inverse: f32,
    scale: i32,
}

impl Step {
    #[inline(always)]
    fn new<const BYTES: bool>(x: &[f32], rounding: &quantize::Rounding) -> Self {
        let (scale, inverse) = if BYTES { rounding.group(x) } else { (1, rounding.inverse) };
        Self { inverse, scale }
    }
}

/// Four activations `a` to `d` as `a c | b d`.
#[inline(always)]
fn four<const BYTES: bool>(x: [f32; 4], step: Step) -> [u32; 2] {
    let [a, b, c, d] =
        x.map(|v| if BYTES { (round_i8(v * step.inverse) * step.scale) as u32 } else { low_bits(v * step.inverse) });
    [a & 0xFFFF | c << 16, b & 0xFFFF | d << 16]
}

/// Rounding a group with a floating-point unit.
#[cfg(target_abi = "eabihf")]
mod round {
    use crate::ops::quantize::I8_GROUP;
    use core::arch::naked_asm;

    /// Rounds 32 activations to 16 bits: four times four words, `4 * size` words from one four to the next and `gap` more
    /// behind the first. Returns the sum of the integers.
    ///
    /// # Safety
    /// `out` has room for all of them.
    #[inline(always)]
    pub unsafe fn group<const NIBBLES: bool>(
        out: *mut u32,
        x: &[f32; I8_GROUP],
        inverse: f32,
        size: usize,
        gap: usize,
    ) -> i32 {
        // Half a group to the second four columns, or four; and from those eight to the next.
        let (second, skip) = if NIBBLES { (64, 0) } else { (16, 16) };
        let steps = Steps { second, skip, next: 16 * size - 16, gap: 4 * gap };
        // SAFETY: the caller's.
        unsafe { round(out, x.as_ptr(), &steps, inverse) }
    }

    /// Bytes from one place to another.
    #[repr(C)]
    struct Steps {
        second: usize,
        skip: usize,
        next: usize,
        gap: usize,
    }

    /// Thirty-four instructions for eight activations.
    #[unsafe(naked)]
    unsafe extern "C" fn round(out: *mut u32, x: *const f32, steps: &Steps, inverse: f32) -> i32 {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "vmov s8, s0",
            "ldm r2, {{r3-r6}}",
            "add r3, r1",
            // 1.5 * 2^23, to which a number of less than 2^22 is added to round it.
            "movw r12, #0",
            "movt r12, #0x4B40",
            "vmov s9, r12",
            "mov lr, #0x00010001",
            "movs r2, #0",
            ".macro EIGHT",
            "vldmia r1!, {{s0-s3}}",
            "vldmia r3!, {{s4-s7}}",
            ".irp x, s0, s1, s2, s3, s4, s5, s6, s7",
            r"vmul.f32 \x, \x, s8",
            r"vadd.f32 \x, \x, s9",
            ".endr",
            "vmov r7, r8, s0, s1",
            "vmov r9, r10, s2, s3",
            "pkhbt r7, r7, r9, lsl #16",
            "pkhbt r8, r8, r10, lsl #16",
            "vmov r9, r10, s4, s5",
            "vmov r11, r12, s6, s7",
            "pkhbt r9, r9, r11, lsl #16",
            "pkhbt r10, r10, r12, lsl #16",
            "stmia r0!, {{r7-r10}}",
            "smlad r2, r7, lr, r2",
            "smlad r2, r8, lr, r2",
            "smlad r2, r9, lr, r2",
            "smlad r2, r10, lr, r2",
            "add r1, r4",
            "add r3, r4",
            "add r0, r5",
            ".endm",
            "EIGHT",
            "add r0, r6",
            ".rept 3",
            "EIGHT",
            ".endr",
            ".purgem EIGHT",
            "mov r0, r2",
            "pop {{r4-r11, pc}}",
        )
    }
}

/// Elsewhere it is left to the compiler.
#[cfg(not(target_abi = "eabihf"))]
mod round {
    use crate::ops::quantize::I8_GROUP;

    pub unsafe fn group<const NIBBLES: bool>(_: *mut u32, _: &[f32; I8_GROUP], _: f32, _: usize, _: usize) -> i32 {
        0
    }
}
