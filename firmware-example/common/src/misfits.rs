//! Calls whose parts do not fit each other. Safe code can make them: a kernel may then compute anything or nothing, but no
//! more than its outputs may change, and nothing may fault.

use alloc::vec;

use emberlm_core::config::MAX_WIDTH;
use emberlm_core::format::{Format, Packing};
use emberlm_core::kernel::{F32Inputs, Inputs, Kernel, Matmul, Rounding, Rows};
use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::Lanes;
use emberlm_core::ops::vector::Update;

use crate::ProgramError;

/// Three times this, or four times, is a little more than 2^32.
const A_THIRD: usize = u32::MAX as usize / 3 + 1;
const A_QUARTER: usize = u32::MAX as usize / 4 + 1;

/// Strides and lengths that no memory has, and some that others wrap to.
const SIZES: [usize; 10] = [0, 1, 5, 8, 32, 64, A_QUARTER, A_THIRD, u32::MAX as usize - 31, usize::MAX];

/// Outputs that there is room for.
const N_OUT: [usize; 5] = [0, 1, 4, 9, 16];

/// Positions that need 2^32 words and some, where rows are as long as they can be.
const MANY: usize = 1 << 17;

const INTEGERS: [Format; 5] = [Format::Q8, Format::Q6, Format::Q5, Format::Q4, Format::Q3];

/// Makes them; says how many there were.
pub(crate) fn call<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    Ok(products(kernel)? + large_products()? + roundings(kernel)? + heads(kernel.lanes())? + vectors(kernel.lanes())?)
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

/// What can be made of parts that do not fit each other, or only just.
fn products<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    let (mut out, words, scales) = (Guarded([7.0; 48]), [0x0101_0101; 192], [1.0; 6]);
    let bytes = Bytes([0x11; 272]);
    let (mut calls, mut made) = (0, 0);
    for format in INTEGERS {
        for n_in in SIZES {
            for n_out in N_OUT {
                for (n_words, n_scales, n_bytes) in [
                    (192, 6, 272),
                    (192, 4, 68),
                    (0, 6, 272),
                    (36, 4, 272),
                    (36, 1, 272),
                    (5, 1, 8),
                    (192, 0, 272),
                    (192, 6, 3),
                ] {
                    let inputs = Inputs::new(&words[..n_words], &scales[..n_scales], n_in);
                    let rows = Rows::new(format, &bytes.0[..n_bytes], n_in);
                    let parts = inputs.zip(rows);
                    let mut multiply = |call: fn(&K, Matmul<'_>)| {
                        out.lend(n_out, |out| {
                            let matmul = parts.and_then(|(inputs, rows)| Matmul::new(out, inputs, rows));
                            made += usize::from(matmul.is_some());
                            matmul.into_iter().for_each(|matmul| call(kernel, matmul));
                        })
                    };
                    multiply(K::matmul_i16)?;
                    multiply(K::matmul_i8)?;
                    calls += 2;
                }
            }
        }
    }
    if made > 0 && made < calls { Ok(calls) } else { Err(ProgramError::KernelReadElsewhere) }
}

/// As many positions as make the words that they need wrap to none.
fn large_products() -> Result<usize, ProgramError> {
    let scales = vec![1.0; MANY];
    let wraps = Inputs::new(&[], &scales, MAX_WIDTH as usize).is_some();
    if wraps { Err(ProgramError::KernelReadElsewhere) } else { Ok(1) }
}

fn roundings<K: Kernel>(kernel: &K) -> Result<usize, ProgramError> {
    let (mut words, mut scales, x) = (Guarded([7; 48]), [0.0; 3], [1.5; 40]);
    let (mut calls, mut made) = (0, 0);
    let sound = INTEGERS.into_iter().filter_map(Format::packing);
    // Groups that no format has.
    let odd = [0, 1, 7, 48, usize::MAX].map(|group| Packing { bits: 4, group, planes: (4, 0) });
    for packing in sound.chain(odd) {
        for n_in in SIZES {
            for (n_words, n_scales, n_x) in
                [(0, 1, 40), (16, 0, 40), (16, 3, 0), (5, 3, 40), (5, 1, 8), (15, 3, 24), (3, 3, 3), (3, 1, 1)]
            {
                let scales = &mut scales[..n_scales];
                let mut round = |call: fn(&K, Rounding<'_>)| {
                    words.lend(n_words, |words| {
                        let x = F32Inputs::new(&x[..n_x], n_in);
                        let rounding = x.and_then(|x| Rounding::new(words, scales, x, packing));
                        made += usize::from(rounding.is_some());
                        rounding.into_iter().for_each(|rounding| call(kernel, rounding));
                    })
                };
                round(K::quantize_i16)?;
                round(K::quantize_i8)?;
                calls += 2;
            }
        }
    }
    if made > 0 && made < calls { Ok(calls) } else { Err(ProgramError::KernelReadElsewhere) }
}

fn heads(lanes: &impl Lanes) -> Result<usize, ProgramError> {
    let (mut floats, mut sums) = (Guarded([7.0; 48]), Guarded([7; 48]));
    let (words, query, weights) = ([0x0101_0101; 20], [1.0; 16], [1; 4]);
    let mut calls = 0;
    for stride in SIZES {
        for n_words in [0, 1, 7, 10, 20] {
            let keys = HeadRows::new(&words[..n_words], stride);
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
                core::hint::black_box(lanes.weigh_i8(keys.words(), stride, &weights[..n]));
                calls += 1;
            }
        }
    }
    Ok(calls)
}

fn vectors(lanes: &impl Lanes) -> Result<usize, ProgramError> {
    let (mut out, bytes) = (Guarded([7.0; 48]), [0; 65]);
    let (mut exponents, x) = (Guarded([7; 48]), [1.0; 16]);
    let mut calls = 0;
    for len in [0, 1, 4, 7, 16] {
        for n in [0, 1, 5, 8, 16] {
            let mut kept = Ok(());
            out.lend(n, |out| kept = exponents.lend(len, |exponents| _ = lanes.exp_terms(out, exponents)))?;
            kept?;
            out.lend(n, |out| _ = lanes.weigh_terms(out, &[-7; 16][..len], 1, 0.0))?;
            // The third reaches further than its cubics, the others nowhere that there is.
            for far in [f32::NAN, f32::INFINITY, 22.0, -1.0] {
                // What no cubic is there for comes out as no number, which is not its own equal.
                let mut out = Guarded([7.0; 48]);
                out.lend(n, |out| lanes.less_bump(out, &x[..len], &[[1; 4]; 3], far, 3))?;
            }
            calls += 6;
        }
    }
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
