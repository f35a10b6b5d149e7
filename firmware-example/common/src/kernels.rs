//! The board's kernel beside the portable one: whether the bits are the same, and what a product takes.

use alloc::vec;
use alloc::vec::Vec;

use emberlm_core::format::Format;
use emberlm_core::kernel::{I8Inputs, I16Inputs, Kernel, Portable, Rows};
use emberlm_core::ops::quantize::{i8_words, i16_words, quantize_i8, quantize_i16};
use emberlm_core::scratch::BLOCK_ROWS;

use crate::report::print_end;
use crate::{Board, ProgramError};

/// Compares the kernels on random products of many shapes and prints how many there were, then counts the instructions
/// of whole products; says whether every bit was the same.
pub fn kernels<B: Board>(board: &mut B) -> bool {
    let result = run(board);
    print_end(board, result)
}

/// Columns: whole groups, ragged ends of every kind, and both.
const COLUMNS: [usize; 14] = [1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 96, 100, 128, 203];
const ROWS: [usize; 5] = [1, 2, 3, 4, 8];
const POSITIONS: [usize; 5] = [1, 2, 3, 4, 6];

fn run<B: Board>(board: &mut B) -> Result<(), ProgramError> {
    writeln!(board, "board: {}", B::NAME)?;
    let mut random = Random(0x2545_F491);
    let mut products = 0;
    let formats = || Format::ALL.into_iter().filter(|format| format.packing().is_some());
    for format in formats() {
        for n_in in COLUMNS {
            for n_rows in ROWS {
                for n in POSITIONS {
                    let product = Product::new(format, n_in, n_rows, n, &mut random);
                    for width in [Width::I16, Width::I8] {
                        if product.bits(&B::Kernel::default(), width) != product.bits(&Portable, width) {
                            return Err(ProgramError::KernelBits { format, n_in, n_rows, n });
                        }
                        products += 1;
                    }
                }
            }
        }
    }
    writeln!(board, "products_with_the_portable_bits: {products}")?;
    for format in formats() {
        for width in [Width::I16, Width::I8] {
            for n_in in [256, 768] {
                for n in [1, 2, 4] {
                    // A block of rows, over and over, is a matrix that takes little memory.
                    let product = Product::new(format, n_in, BLOCK_ROWS, n, &mut random);
                    let start = board.ticks();
                    let inputs = product.inputs(&B::Kernel::default(), width);
                    for _ in 0..n_in / BLOCK_ROWS {
                        product.multiply(&B::Kernel::default(), &inputs, width);
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
#[derive(Clone, Copy)]
enum Width {
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

/// A random matrix and random activations.
struct Product {
    format: Format,
    n_in: usize,
    n_rows: usize,
    n: usize,
    /// As the format lays them out, from the first byte at a multiple of 4 on.
    rows: Vec<u8>,
    floats: Vec<f32>,
}

/// Quantised activations.
struct Inputs {
    words: Vec<u32>,
    scales: Vec<f32>,
}

impl Product {
    fn new(format: Format, n_in: usize, n_rows: usize, n: usize, random: &mut Random) -> Self {
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

    fn inputs<K: Kernel>(&self, kernel: &K, width: Width) -> Inputs {
        let Some(packing) = self.format.packing() else { return Inputs { words: vec![], scales: vec![] } };
        let len = match width {
            Width::I16 => i16_words(self.n_in),
            Width::I8 => i8_words(self.n_in),
        };
        let mut words = vec![0; self.n * len];
        let positions = words.chunks_exact_mut(len).zip(self.floats.chunks_exact(self.n_in));
        let quantize = |(words, x): (&mut [u32], &[f32])| match width {
            Width::I8 => quantize_i8(words, x),
            Width::I16 => {
                let scale = quantize_i16(words, x);
                kernel.arrange_i16(words, packing, self.n_in);
                scale
            }
        };
        let scales = positions.map(quantize).collect();
        Inputs { words, scales }
    }

    /// The rows.
    fn bytes(&self) -> &[u8] {
        let start = self.rows.as_ptr().align_offset(4);
        &self.rows[start..start + self.n_rows * self.format.row_stride(self.n_in)]
    }

    /// Outputs `[n][BLOCK_ROWS]`.
    fn multiply<K: Kernel>(&self, kernel: &K, inputs: &Inputs, width: Width) -> Vec<f32> {
        let mut out = vec![0.0; self.n * BLOCK_ROWS];
        let (words, scales) = (&inputs.words[..], &inputs.scales[..]);
        let rows = Rows { format: self.format, bytes: self.bytes(), n_in: self.n_in };
        match width {
            Width::I16 => kernel.matmul_i16(&mut out, BLOCK_ROWS, I16Inputs { words, scales }, rows),
            Width::I8 => kernel.matmul_i8(&mut out, BLOCK_ROWS, I8Inputs { words, scales }, rows),
        }
        out
    }

    fn bits<K: Kernel>(&self, kernel: &K, width: Width) -> Vec<u32> {
        let out = self.multiply(kernel, &self.inputs(kernel, width), width);
        out.into_iter().map(f32::to_bits).collect()
    }
}

/// The bytes from the first at a multiple of 4 on.
fn aligned_mut(bytes: &mut [u8]) -> &mut [u8] {
    let start = bytes.as_ptr().align_offset(4);
    &mut bytes[start..]
}

/// Marsaglia's xorshift, of 32 bits (2003).
struct Random(u32);

impl Random {
    const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}
