//! Where the loops want the activations: positions in tiles, whose words alternate.
//!
//! Positions come in tiles of 4, then of 2 and of 1. A tile of `P` positions takes the words of its positions together.
//! For each full group of columns it has, for every eight of them, four words of the tile's first position, four of the
//! second, and so on; behind the full groups each position's rest. A group under unsigned weights also has a word for
//! each position, `-2^(bits - 1)` times the sum of the activations, which makes up for the weights' offset: in front of
//! the group, or in a tile of one position behind its first four words.
//!
//! Four words are eight activations, `a` to `h` in the order of the weights' bytes: `a c | b d | e g | f h`. Nibbles have
//! their eight columns in four bytes: the first four of a half group, then the first four of the other half.

use crate::format::Packing;
use crate::ops::quantize::{I8_GROUP, Rounding, i16_words, low_bits, round_i8};

/// Sizes of tiles.
pub const FOUR: usize = 4;
pub const TWO: usize = 2;

/// Cuts `n` positions into tiles: the first position of each, and how many it has.
pub fn tiles(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    core::iter::from_fn(move || {
        let size = match n - first {
            0 => return None,
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
        let (columns, signed) = (packing.group, packing.bits == 8);
        let offset = if signed { 0 } else { packing.range().0 };
        Self { columns, words: columns / 2 + !signed as usize, offset }
    }
}

/// Writes activations `x` `[positions][n_in]` as integers of 16 bits into `words` `[positions][i16_words]`, and their
/// scales. `BYTES`: what they are rounded to is 8 bits under a scale a group, of which the product is written.
pub fn quantize<const BYTES: bool>(words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
    let (group, len) = (Group::new(packing), i16_words(n_in));
    for (first, size) in tiles(scales.len().min(x.len() / n_in)) {
        let words = &mut words[first * len..][..size * len];
        let positions = x[first * n_in..].chunks_exact(n_in).zip(&mut scales[first..]).take(size);
        for (position, (x, scale)) in positions.enumerate() {
            let rounding = if BYTES { Rounding::to_i8(x) } else { Rounding::to_i16(x) };
            *scale = rounding.scale;
            let place = Place { position, size, group };
            match packing.bits {
                8 => place.write::<BYTES, false>(words, x, &rounding),
                4 => place.write::<BYTES, true>(words, x, &rounding),
                _ => place.write::<BYTES, false>(words, x, &rounding),
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
    fn write<const BYTES: bool, const NIBBLES: bool>(&self, words: &mut [u32], x: &[f32], rounding: &Rounding) {
        let Self { position, size, group } = *self;
        let (full, rest) = x.as_chunks::<I8_GROUP>();
        let halves = group.columns / I8_GROUP;
        let groups = full.len() / halves;
        let (words, behind) = words.split_at_mut(size * group.words * groups);
        let mut at = 0;
        let (full, odd) = full.split_at(groups * halves);
        for x in full {
            let step = Step::new::<BYTES>(x, rounding);
            let corrected = group.offset != 0;
            let start = at + 4 * position + if corrected && size > 1 { size } else { 0 };
            // In a tile of one position the correction follows the first four words.
            let gap = usize::from(corrected && size == 1);
            let places = [0, 1, 2, 3].map(|i| start + 4 * size * i + if i > 0 { gap } else { 0 });
            let Some(out) = words.get_mut(..places[3] + 4) else { return };
            let mut sum = 0;
            for (i, place) in places.into_iter().enumerate() {
                let (low, high) = if NIBBLES { (4 * i, 16 + 4 * i) } else { (8 * i, 8 * i + 4) };
                let [a, b] = four::<BYTES>([x[low], x[low + 1], x[low + 2], x[low + 3]], step);
                let [c, d] = four::<BYTES>([x[high], x[high + 1], x[high + 2], x[high + 3]], step);
                // SAFETY: the last place is the highest, and `out` has its four words.
                unsafe { out.as_mut_ptr().add(place).cast::<[u32; 4]>().write([a, b, c, d]) };
                if corrected {
                    sum = [a, b, c, d].into_iter().fold(sum, |sum, pair| super::smlad(pair, 0x0001_0001, sum));
                }
            }
            at += 16 * size;
            if corrected {
                let place = if size == 1 { start + 4 } else { start - size - 3 * position };
                if let Some(word) = words.get_mut(place) {
                    *word = group.offset.wrapping_mul(sum) as u32;
                }
                at += size;
            }
        }
        // What is left of the row, a half group or more, then what is less than that.
        let len = (odd.len() * I8_GROUP + rest.len()).div_ceil(4) * 2;
        let Some(behind) = behind.get_mut(position * len..(position + 1) * len) else { return };
        let pieces = odd.iter().map(|x| &x[..]).chain((!rest.is_empty()).then_some(rest));
        for (words, x) in behind.chunks_mut(I8_GROUP / 2).zip(pieces) {
            let step = Step::new::<BYTES>(x, rounding);
            for (words, x) in words.as_chunks_mut::<2>().0.iter_mut().zip(x.chunks(4)) {
                *words = four::<BYTES>(core::array::from_fn(|i| x.get(i).copied().unwrap_or(0.0)), step);
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
    fn new<const BYTES: bool>(x: &[f32], rounding: &Rounding) -> Self {
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
