//! Activations of 16 bits, whatever they are rounded to: one of 8 bits times its group's scale is no more than `127 * 255`.

use emberlm_core::kernel::Rounding;
use emberlm_core::ops::quantize::{I8_GROUP, i8_words, quantize_i8 as round};

/// 8-bit integers as the portable kernel rounds them, each times its group's scale.
#[inline(always)]
pub(super) fn quantize_i8(rounding: Rounding<'_>) {
    let mut bytes = Vec::new();
    rounding.each(|words, x| {
        bytes.resize(i8_words(x.len()), 0);
        let scale = round(&mut bytes, x);
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
