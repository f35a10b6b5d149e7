//! Activations as a product meets them: floats, or integers under scales.

use crate::ops::quantize::{I8_GROUP, i8_words, i16_words};
use crate::part::{self, part, split};

/// f32 activations of several positions.
#[derive(Clone, Copy, Debug)]
pub struct F32Inputs<'a> {
    /// `[positions][n_in]`.
    pub values: &'a [f32],
}

/// 16-bit activations of several positions.
#[derive(Clone, Copy, Debug)]
pub struct I16Inputs<'a> {
    /// `[positions][i16_words(n_in)]`, as [`quantize_i16`](crate::ops::quantize::quantize_i16) packs them, or as
    /// [`Kernel::quantize_i16`](super::Kernel::quantize_i16) left them.
    pub words: &'a [u32],
    /// `[positions]`.
    pub scales: &'a [f32],
}

/// 8-bit activations of several positions.
#[derive(Clone, Copy, Debug)]
pub struct I8Inputs<'a> {
    /// `[positions][i8_words(n_in)]`, as [`quantize_i8`](crate::ops::quantize::quantize_i8) packs them, or as
    /// [`Kernel::quantize_i8`](super::Kernel::quantize_i8) left them; there may be more behind.
    pub words: &'a [u32],
    /// `[positions]`.
    pub scales: &'a [f32],
}

impl<'a> I16Inputs<'a> {
    /// Each position's activations.
    #[inline(always)]
    pub fn iter(self, n_in: usize) -> impl Iterator<Item = I16Position<'a>> + Clone {
        part::rows(self.words, i16_words(n_in)).map(|words| I16Position { words })
    }
}

impl<'a> I8Inputs<'a> {
    /// Each position's activations.
    #[inline(always)]
    pub fn iter(self, n_in: usize) -> impl Iterator<Item = I8Position<'a>> + Clone {
        part::rows(self.words, i8_words(n_in)).take(self.scales.len()).map(move |words| {
            let (words, scales) = split(words, n_in.div_ceil(4));
            I8Position { words, scales }
        })
    }
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
