//! Activations as a product meets them: floats, or integers under scales.

use crate::config::MAX_WIDTH;
use crate::format::Packing;
use crate::ops::quantize::{I8_GROUP, i16_words};
use crate::part::{self, part, rows_mut, split};

/// 32-bit words of memory that a position's integers are given, of 16 bits or of 8: in any kernel's order, and with what else
/// it wants to know of them.
pub const fn input_words(n_in: usize) -> usize {
    i16_words(n_in)
}

/// f32 activations of several positions.
#[derive(Clone, Copy, Debug)]
pub struct F32Inputs<'a> {
    values: &'a [f32],
    n_in: usize,
}

impl<'a> F32Inputs<'a> {
    /// `values` are `[positions][n_in]`; `None` where they are not, or `n_in` is 0.
    #[inline(always)]
    pub const fn new(values: &'a [f32], n_in: usize) -> Option<Self> {
        match values.len().checked_rem(n_in) {
            Some(0) => Some(Self { values, n_in }),
            _ => None,
        }
    }

    /// Activations of a position.
    #[inline(always)]
    pub const fn n_in(self) -> usize {
        self.n_in
    }

    /// Positions.
    #[inline(always)]
    pub fn n(self) -> usize {
        self.values.len().checked_div(self.n_in).unwrap_or_default()
    }

    /// Each position's activations.
    #[inline(always)]
    pub fn iter(self) -> core::slice::ChunksExact<'a, f32> {
        part::rows(self.values, self.n_in)
    }
}

/// Activations of several positions as integers, in the order in which a kernel left them.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    words: &'a [u32],
    scales: &'a [f32],
    n_in: usize,
}

impl<'a> Inputs<'a> {
    /// `words` are `[positions][input_words(n_in)]`, `scales` `[positions]`; `None` where they are not, or `n_in` is beyond
    /// [`MAX_WIDTH`].
    #[inline(always)]
    pub const fn new(words: &'a [u32], scales: &'a [f32], n_in: usize) -> Option<Self> {
        if has_room(words, scales, n_in) { Some(Self { words, scales, n_in }) } else { None }
    }

    /// `[positions][input_words(n_in)]`.
    #[inline(always)]
    pub const fn words(self) -> &'a [u32] {
        self.words
    }

    /// What one of a position's integers stands for, but for scales of its own.
    #[inline(always)]
    pub const fn scales(self) -> &'a [f32] {
        self.scales
    }

    /// Activations of a position.
    #[inline(always)]
    pub const fn n_in(self) -> usize {
        self.n_in
    }

    /// Each position's 16-bit integers, as [`quantize_i16`](crate::ops::quantize::quantize_i16) packs them.
    #[inline(always)]
    pub fn i16(self) -> impl Iterator<Item = I16Position<'a>> + Clone {
        part::rows(self.words, input_words(self.n_in)).map(|words| I16Position { words })
    }

    /// Each position's 8-bit integers, as [`quantize_i8`](crate::ops::quantize::quantize_i8) packs them.
    #[inline(always)]
    pub fn i8(self) -> impl Iterator<Item = I8Position<'a>> + Clone {
        part::rows(self.words, input_words(self.n_in)).map(move |words| {
            let (words, scales) = split(words, self.n_in.div_ceil(4));
            I8Position { words, scales }
        })
    }
}

/// Activations on their way to integers.
#[derive(Debug)]
pub struct Rounding<'a> {
    words: &'a mut [u32],
    scales: &'a mut [f32],
    x: F32Inputs<'a>,
    packing: Packing,
}

/// What a [`Rounding`] consists of.
#[derive(Debug)]
pub struct RoundingParts<'a> {
    /// Where each position's integers go, `[positions][input_words(n_in)]`.
    pub words: &'a mut [u32],
    /// Where each position's scale goes.
    pub scales: &'a mut [f32],
    /// The activations.
    pub x: F32Inputs<'a>,
    /// Of the weights that will meet them.
    pub packing: Packing,
}

impl<'a> Rounding<'a> {
    /// `None` where there is no room for exactly as many integers and scales.
    #[inline(always)]
    pub fn new(words: &'a mut [u32], scales: &'a mut [f32], x: F32Inputs<'a>, packing: Packing) -> Option<Self> {
        (has_room(words, scales, x.n_in) && scales.len() == x.n()).then_some(Self { words, scales, x, packing })
    }

    /// Takes it apart.
    #[inline(always)]
    pub fn into_parts(self) -> RoundingParts<'a> {
        let Self { words, scales, x, packing } = self;
        RoundingParts { words, scales, x, packing }
    }

    /// Rounds each position by `round`, which fills its words and returns the scale.
    #[inline(always)]
    pub fn each(self, mut round: impl FnMut(&mut [u32], &[f32]) -> f32) {
        let positions = rows_mut(self.words, input_words(self.x.n_in)).zip(self.x.iter());
        for ((words, x), scale) in positions.zip(self.scales) {
            *scale = round(words, x);
        }
    }
}

/// Whether there are words for each of the scales' positions, of lengths whose products are exact.
#[inline(always)]
const fn has_room(words: &[u32], scales: &[f32], n_in: usize) -> bool {
    n_in <= MAX_WIDTH as usize && scales.len() as u64 * input_words(n_in) as u64 == words.len() as u64
}

/// One position's integers, from some weight of a row on.
pub trait Position: Copy {
    /// Those from `first` on, a multiple of [`I8_GROUP`].
    fn from(self, first: usize) -> Self;

    /// Their dot product with a group's signed bytes, the activations' own integer scales included.
    fn dot(self, weights: &[u8]) -> i64;
}

/// 16-bit activations of one position.
#[derive(Clone, Copy, Debug)]
pub struct I16Position<'a> {
    /// Two a word.
    pub words: &'a [u32],
}

impl Position for I16Position<'_> {
    #[inline(always)]
    fn from(self, first: usize) -> Self {
        Self { words: part(self.words, first / 2..) }
    }

    #[inline(always)]
    fn dot(self, weights: &[u8]) -> i64 {
        let (pairs, last) = weights.as_chunks::<2>();
        let mut dot = 0;
        for (&[a, b], &word) in pairs.iter().zip(self.words) {
            dot += i32::from(a as i8) * i32::from(word as i16) + i32::from(b as i8) * ((word as i32) >> 16);
        }
        if let (&[a], Some(&word)) = (last, self.words.get(pairs.len())) {
            dot += i32::from(a as i8) * i32::from(word as i16);
        }
        i64::from(dot)
    }
}

/// 8-bit activations of one position.
#[derive(Clone, Copy, Debug)]
pub struct I8Position<'a> {
    /// Four a word.
    pub words: &'a [u32],
    /// One integer scale for each [`I8_GROUP`].
    pub scales: &'a [u32],
}

impl Position for I8Position<'_> {
    #[inline(always)]
    fn from(self, first: usize) -> Self {
        Self { words: part(self.words, first / 4..), scales: part(self.scales, first / I8_GROUP..) }
    }

    #[inline(always)]
    fn dot(self, weights: &[u8]) -> i64 {
        let parts = weights.chunks(I8_GROUP).zip(self.words.chunks(I8_GROUP / 4)).zip(self.scales);
        let dot = |((weights, words), &scale): ((&[u8], &[u32]), &u32)| {
            let (quads, last) = weights.as_chunks::<4>();
            let mut dot: i32 = quads.iter().zip(words).map(|(&quad, &x)| dot_of_four(quad, x)).sum();
            if let Some(&x) = words.get(quads.len()) {
                let mut quad = [0; 4];
                quad.iter_mut().zip(last).for_each(|(quad, &last)| *quad = last);
                dot += dot_of_four(quad, x);
            }
            i64::from(dot) * i64::from(scale)
        };
        parts.map(dot).sum()
    }
}

#[inline(always)]
fn dot_of_four(weights: [u8; 4], x: u32) -> i32 {
    let [a, b, c, d] = x.to_le_bytes();
    let [p, q, r, s] = weights;
    let product = |weight: u8, x: u8| i32::from(weight as i8) * i32::from(x as i8);
    (product(p, a) + product(q, b)) + (product(r, c) + product(s, d))
}
