//! Calls whose parts do not fit each other. Safe code can make them: a kernel may then compute anything or nothing, but no
//! more than its outputs may change, and nothing may fault.

use alloc::vec;

use emberlm_core::config::MAX_WIDTH;
use emberlm_core::format::{Format, Packing};
use emberlm_core::kernel::{I8Inputs, I16Inputs, Kernel, Rows};
use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::Lanes;
use emberlm_core::ops::quantize::i16_words;
use emberlm_core::ops::vector::Update;

use crate::ProgramError;

/// Three times this, or four times, is a little more than 2^32.
const A_THIRD: usize = u32::MAX as usize / 3 + 1;
const A_QUARTER: usize = u32::MAX as usize / 4 + 1;

/// Strides and lengths that no memory has, and some that others wrap to.
const SIZES: [usize; 10] = [0, 1, 5, 8, 32, 64, A_QUARTER, A_THIRD, u32::MAX as usize - 31, usize::MAX];

/// Positions that need 2^32 words and some, where rows are as long as they can be.
const MANY: usize = 1 << 17;

const INTEGERS: [Format; 5] = [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3];

/// Makes them; says how many there were.
pub(crate) fn call<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    Ok(products(kernel)?
        + large_products(kernel)?
        + roundings(kernel)?
        + heads(kernel.lanes())?
        + vectors(kernel.lanes())?)
}

/// Memory with outputs in its middle.
struct Guarded<T>([T; 48]);

impl<T: Copy + PartialEq> Guarded<T> {
    /// Hands out `len` outputs, at most 16.
    fn lend(&mut self, len: usize, call: impl FnOnce(&mut [T])) -> Result<(), ProgramError> {
        let before = self.0;
        call(&mut self.0[16..][..len]);
        let is_kept = self.0[..16] == before[..16] && self.0[16 + len..] == before[16 + len..];
        if is_kept { Ok(()) } else { Err(ProgramError::KernelWroteElsewhere) }
    }
}

fn products<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    let (mut out, words, scales) = (Guarded([7.0; 48]), [0x0101_0101; 192], [1.0; 6]);
    let bytes = Bytes([0x11; 272]);
    let mut calls = 0;
    for format in INTEGERS {
        for n_in in SIZES {
            for out_stride in SIZES {
                for (n_out, n_words, n_scales, n_bytes) in [
                    (0, 192, 6, 272),
                    (1, 192, 4, 68),
                    (9, 0, 6, 272),
                    (16, 33, 4, 272),
                    (16, 192, 0, 272),
                    (16, 192, 6, 3),
                ] {
                    let (words, scales) = (&words[..n_words], &scales[..n_scales]);
                    let rows = Rows { format, bytes: &bytes.0[..n_bytes], n_in };
                    out.lend(n_out, |out| kernel.matmul_i16(out, out_stride, I16Inputs { words, scales }, rows))?;
                    out.lend(n_out, |out| kernel.matmul_i8(out, out_stride, I8Inputs { words, scales }, rows))?;
                    calls += 2;
                }
            }
        }
    }
    Ok(calls)
}

/// As many positions as make the words that they need wrap to none.
fn large_products<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    let n_in = MAX_WIDTH as usize;
    let (mut out, scales) = (Guarded([7.0; 48]), vec![1.0; MANY]);
    // Of words, so that it lies at a multiple of four.
    let bytes = vec![[0x11; 4]; Format::Q4.row_stride(n_in) / 4];
    let rows = Rows { format: Format::Q4, bytes: bytes.as_flattened(), n_in };
    out.lend(1, |out| kernel.matmul_i16(out, 0, I16Inputs { words: &[], scales: &scales }, rows))?;
    // Activations that are not there can only count as zeros.
    if out.0[16] == 7.0 || out.0[16] == 0.0 { Ok(1) } else { Err(ProgramError::KernelReadElsewhere) }
}

fn roundings<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    let (mut words, mut scales, x) = (Guarded([7; 48]), [0.0; 3], [1.5; 40]);
    let mut calls = 0;
    let sound = INTEGERS.into_iter().filter_map(Format::packing);
    // Groups that no format has.
    let odd = [0, 1, 7, 48, usize::MAX].map(|group| Packing { bits: 4, group, planes: (4, 0) });
    for packing in sound.chain(odd) {
        for n_in in SIZES {
            for (n_words, n_scales, n_x) in [(0, 1, 40), (16, 0, 40), (16, 3, 0), (5, 3, 40), (i16_words(8), 1, 8)] {
                let (scales, x) = (&mut scales[..n_scales], &x[..n_x]);
                words.lend(n_words, |words| kernel.quantize_i16(words, scales, x, packing, n_in))?;
                words.lend(n_words, |words| kernel.quantize_i8(words, scales, x, packing, n_in))?;
                calls += 2;
            }
        }
    }
    Ok(calls)
}

fn heads(lanes: &impl Lanes) -> Result<usize, ProgramError> {
    let (mut floats, mut sums) = (Guarded([7.0; 48]), Guarded([7; 48]));
    let (words, query, weights) = ([0x0101_0101; 20], [1.0; 16], [1; 4]);
    let mut calls = 0;
    for stride in SIZES {
        for n_words in [0, 1, 7, 10, 20] {
            let keys = HeadRows { words: &words[..n_words], stride };
            for n in [0, 1, 2, 4] {
                for dim in [0, 3, 8, 16] {
                    let (query, weights) = (&query[..dim], &query[..n]);
                    floats.lend(n, |out| lanes.dots_f32(out, query, keys))?;
                    floats.lend(n, |out| lanes.dots_f16(out, query, keys))?;
                    floats.lend(dim, |out| lanes.add_weighted_f32(out, weights, keys))?;
                    floats.lend(dim, |out| lanes.add_weighted_f16(out, weights, keys))?;
                    sums.lend(n, |out| lanes.dots_i8(out, &words[..dim], keys))?;
                    calls += 5;
                }
                core::hint::black_box(lanes.weigh_i8(keys.words, stride, &weights[..n]));
                calls += 1;
            }
        }
    }
    Ok(calls)
}

fn vectors(lanes: &impl Lanes) -> Result<usize, ProgramError> {
    let (mut out, bytes) = (Guarded([7.0; 48]), [0; 65]);
    let mut calls = 0;
    for update in [Update::Set, Update::Add, Update::Scale] {
        for len in [0, 1, 8, 16] {
            for (first, floats) in [(0, 0), (1, 16), (3, 8), (0, 7), (0, 16)] {
                let floats = &bytes[first..].as_chunks().0[..floats.min((65 - first) / 4)];
                out.lend(len, |out| lanes.update(out, floats, update))?;
                calls += 1;
            }
            out.lend(len, |out| lanes.scale(out, 2.0))?;
            calls += 1;
        }
    }
    Ok(calls)
}

/// Bytes at a multiple of 4.
#[repr(align(4))]
struct Bytes([u8; 272]);
