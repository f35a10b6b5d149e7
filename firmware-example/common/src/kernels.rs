//! The board's kernel beside the portable one: whether the bits are the same, and what a product takes.

use alloc::vec;
use alloc::vec::Vec;

use emberlm_core::format::Format;
use emberlm_core::kernel::{I8Inputs, I16Inputs, Kernel, Portable, Rows};
use emberlm_core::ops::quantize::i16_words;
use emberlm_core::scratch::BLOCK_ROWS;

use crate::report::print_end;
use crate::{Board, ProgramError, heads, misfits, vectors};

/// Compares the kernels on random products of many shapes and prints how many there were, makes calls whose parts do not
/// fit, then counts the instructions of whole products; says whether every bit was the same.
pub fn kernels<B: Board>(board: &mut B) -> bool {
    let result = run(board);
    print_end(board, result)
}

/// Columns: whole groups, ragged ends of every kind, both, and more groups than a kernel takes at once.
const COLUMNS: [usize; 16] = [1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 96, 100, 128, 203, 832, 1664];
const ROWS: [usize; 6] = [1, 2, 3, 4, 8, 29];
const POSITIONS: [usize; 6] = [1, 2, 3, 4, 5, 6];

fn run<B: Board>(board: &mut B) -> Result<(), ProgramError> {
    writeln!(board, "board: {}", B::NAME)?;
    let mut random = Random::default();
    let mut products = 0;
    let formats = || Format::ALL.into_iter().filter(|format| format.packing().is_some());
    let mut compare = |product: &Product| {
        for width in [Width::I16, Width::I8] {
            if product.bits(&B::Kernel::default(), width) != product.bits(&Portable, width) {
                let &Product { format, n_in, n_rows, n, .. } = product;
                return Err(ProgramError::KernelBits { format, n_in, n_rows, n });
            }
            products += 1;
        }
        Ok(())
    };
    for format in formats() {
        for n_in in COLUMNS {
            for n in POSITIONS {
                for n_rows in ROWS {
                    compare(&Product::new(format, n_in, n_rows, n, &mut random))?;
                }
                for extreme in &EXTREMES {
                    let mut product = Product::new(format, n_in, 5, n, &mut random);
                    extreme.apply(&mut product);
                    compare(&product)?;
                }
            }
        }
    }
    writeln!(board, "products_with_the_portable_bits: {products}")?;
    let heads = heads::compare(&B::Kernel::default(), &mut random)?;
    writeln!(board, "heads_with_the_portable_bits: {heads}")?;
    let vectors = vectors::compare(&B::Kernel::default(), &mut random)?;
    writeln!(board, "vectors_with_the_portable_bits: {vectors}")?;
    let misfits = misfits::call(&B::Kernel::default())?;
    writeln!(board, "calls_that_do_not_fit: {misfits}")?;
    for format in formats() {
        for width in [Width::I16, Width::I8] {
            for n_in in [256, 768] {
                for n in [1, 2, 4] {
                    // A block of rows, over and over, is a matrix that takes little memory.
                    let product = Product::new(format, n_in, BLOCK_ROWS, n, &mut random);
                    let mut out = product.outputs();
                    let start = board.ticks();
                    let inputs = product.inputs(&B::Kernel::default(), width);
                    for first in (0..n_in).step_by(BLOCK_ROWS) {
                        let n_rows = BLOCK_ROWS.min(n_in - first);
                        product.multiply(&mut out, &B::Kernel::default(), &inputs, width, n_rows);
                    }
                    let instructions = B::instructions(board.ticks() - start);
                    let (name, width) = (format.name(), width.name());
                    writeln!(board, "instructions_{name}_{width}_{n_in}x{n_in}_t{n}: {instructions}")?;
                }
            }
        }
    }
    Ok(())
}

/// Bits of the activations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    I16,
    I8,
}

impl Width {
    const fn name(self) -> &'static str {
        match self {
            Self::I16 => "i16",
            Self::I8 => "i8",
        }
    }
}

/// What all of a product's parts may be, and what its first activation or row scale then is.
struct Extreme {
    integers: u8,
    scales: u8,
    floats: [f32; 2],
    first: f32,
    row_scale: u16,
}

/// The largest sums of either sign, for signed weights and for those with an offset, what is no number, and what is too
/// small for a normal one.
const EXTREMES: [Extreme; 10] = {
    const NAN: u16 = 0x7FC0;
    const ONE: u16 = 0x3F80;
    const SUBNORMAL: u16 = 0x0003;
    const SMALL: u16 = 0x1500;
    let large = Extreme { integers: 0x80, scales: 0xFF, floats: [1.0; 2], first: 1.0, row_scale: ONE };
    [
        Extreme { ..large },
        Extreme { floats: [-1.0; 2], first: -1.0, ..large },
        Extreme { floats: [1.0, -1.0], scales: 0x80, ..large },
        Extreme { integers: 0, scales: 0x80, ..large },
        Extreme { integers: 0xFF, scales: 0x80, floats: [-1.0; 2], first: -1.0, ..large },
        Extreme { floats: [0.0; 2], first: 0.0, ..large },
        Extreme { first: f32::NAN, ..large },
        Extreme { row_scale: NAN, first: f32::INFINITY, ..large },
        Extreme { row_scale: SUBNORMAL, ..large },
        Extreme { row_scale: SMALL, floats: [1e-30; 2], first: 1e-20, ..large },
    ]
};

impl Extreme {
    fn apply(&self, product: &mut Product) {
        let Product { format, n_in, .. } = *product;
        let Some(packing) = format.packing() else { return };
        for row in aligned_mut(&mut product.rows).chunks_exact_mut(format.row_stride(n_in)) {
            let (integers, scales) = row.split_at_mut(packing.row_bytes(n_in));
            integers.fill(self.integers);
            scales.fill(self.scales);
            if let Some(row_scale) = scales.last_chunk_mut() {
                *row_scale = self.row_scale.to_le_bytes();
            }
        }
        for (i, x) in product.floats.iter_mut().enumerate() {
            *x = if i % n_in == 0 { self.first } else { self.floats[i % 2] };
        }
    }
}

/// A random matrix and random activations.
pub(crate) struct Product {
    format: Format,
    n_in: usize,
    n_rows: usize,
    n: usize,
    /// As the format lays them out, from the first byte at a multiple of 4 on.
    rows: Vec<u8>,
    floats: Vec<f32>,
}

/// Quantised activations.
pub(crate) struct Inputs {
    words: Vec<u32>,
    scales: Vec<f32>,
}

impl Product {
    pub(crate) fn new(format: Format, n_in: usize, n_rows: usize, n: usize, random: &mut Random) -> Self {
        let stride = format.row_stride(n_in);
        let mut rows = vec![0; n_rows * stride + 3];
        for row in aligned_mut(&mut rows).chunks_exact_mut(stride) {
            row.iter_mut().for_each(|byte| *byte = random.next() as u8);
            // A row scale of 1, so that every bit of a sum shows.
            row[stride - 2..].copy_from_slice(&[0x80, 0x3F]);
        }
        let floats = (0..n * n_in).map(|_| random.next() as i32 as f32).collect();
        Self { format, n_in, n_rows, n, rows, floats }
    }

    pub(crate) fn inputs<K: Kernel>(&self, kernel: &K, width: Width) -> Inputs {
        let Some(packing) = self.format.packing() else { return Inputs { words: vec![], scales: vec![] } };
        let (mut words, mut scales) = (vec![0; self.n * i16_words(self.n_in)], vec![0.0; self.n]);
        let (x, n_in) = (&self.floats[..], self.n_in);
        match width {
            Width::I16 => kernel.quantize_i16(&mut words, &mut scales, x, packing, n_in),
            Width::I8 => kernel.quantize_i8(&mut words, &mut scales, x, packing, n_in),
        }
        Inputs { words, scales }
    }

    pub(crate) fn outputs(&self) -> Vec<f32> {
        vec![0.0; self.n * BLOCK_ROWS]
    }

    /// The rows.
    fn bytes(&self) -> &[u8] {
        let start = self.rows.as_ptr().align_offset(4);
        &self.rows[start..start + self.n_rows * self.format.row_stride(self.n_in)]
    }

    /// The first `n_rows` rows, to `out` `[n][BLOCK_ROWS]`.
    pub(crate) fn multiply<K: Kernel>(
        &self,
        out: &mut [f32],
        kernel: &K,
        inputs: &Inputs,
        width: Width,
        n_rows: usize,
    ) {
        let (words, scales) = (&inputs.words[..], &inputs.scales[..]);
        let bytes = &self.bytes()[..n_rows * self.format.row_stride(self.n_in)];
        let rows = Rows { format: self.format, bytes, n_in: self.n_in };
        match width {
            Width::I16 => kernel.matmul_i16(out, BLOCK_ROWS, I16Inputs { words, scales }, rows),
            Width::I8 => kernel.matmul_i8(out, BLOCK_ROWS, I8Inputs { words, scales }, rows),
        }
    }

    fn bits<K: Kernel>(&self, kernel: &K, width: Width) -> Vec<u32> {
        let mut out = self.outputs();
        self.multiply(&mut out, kernel, &self.inputs(kernel, width), width, self.n_rows);
        // A product that is no number may be any such.
        out.into_iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
    }
}

/// The bytes from the first at a multiple of 4 on.
fn aligned_mut(bytes: &mut [u8]) -> &mut [u8] {
    let start = bytes.as_ptr().align_offset(4);
    &mut bytes[start..]
}

/// Marsaglia's xorshift, of 32 bits (2003).
#[derive(Clone)]
pub(crate) struct Random(u32);

impl Default for Random {
    fn default() -> Self {
        Self(0x2545_F491)
    }
}

impl Random {
    pub(crate) const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}
