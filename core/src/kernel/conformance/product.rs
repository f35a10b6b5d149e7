//! Products: every format by activations of every width.

use super::mismatch::{Mismatch, bits};
use super::random::Random;
use super::width::Width;
use crate::format::Format;
use crate::kernel::{self, F32Inputs, F32Matmul, Kernel, Matmul, Portable, Rounding, Rows, input_words};
use alloc::vec;
use alloc::vec::Vec;

/// Columns: whole groups, ragged ends of every kind, both, and more groups than a kernel takes at once.
const COLUMNS: &[usize] =
    if cfg!(miri) { &[33, 65] } else { &[1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 96, 100, 128, 203, 832, 1664] };
const ROWS: &[usize] = if cfg!(miri) { &[1, 5] } else { &[1, 2, 3, 4, 8, 29] };
const POSITIONS: &[usize] = if cfg!(miri) { &[3] } else { &[1, 2, 3, 4, 5, 6] };

/// An interpreter takes a while over each.
const MOST_EXTREMES: usize = if cfg!(miri) { 3 } else { EXTREMES.len() };

/// Columns, rows and positions of products with f32 activations, which cores without an FPU take long over.
const BY_FLOATS: &[[usize; 3]] = if cfg!(miri) {
    &[[33, 2, 1]]
} else {
    &[[1, 2, 1], [5, 3, 2], [31, 1, 1], [32, 2, 3], [33, 4, 1], [64, 1, 5], [100, 2, 2], [203, 1, 1]]
};

/// Compares products of many shapes; says how many there were.
pub(super) fn check(kernel: &impl Kernel, random: &mut Random) -> Result<usize, Mismatch> {
    let mut products = 0;
    let mut compare = |product: &Product, width| {
        products += 1;
        if product.bits(kernel, width) == product.bits(&Portable, width) {
            return Ok(());
        }
        let &Product { format, n_in, n_rows, n, .. } = product;
        Err(Mismatch::Product { width, format, n_in, n_rows, n })
    };
    for format in Format::ALL.into_iter().filter(|format| format.is_built()) {
        for &[n_in, n_rows, n] in BY_FLOATS {
            let mut product = Product::new(format, n_in, n_rows, n, random);
            compare(&product, Width::F32)?;
            for extreme in EXTREMES.iter().take(MOST_EXTREMES) {
                extreme.apply(&mut product);
                compare(&product, Width::F32)?;
            }
        }
        if format.packing().is_none() {
            continue;
        }
        for &n_in in COLUMNS {
            for &n in POSITIONS {
                let mut both = |product: &Product| {
                    compare(product, Width::I16)?;
                    compare(product, Width::I8)
                };
                for &n_rows in ROWS {
                    both(&Product::new(format, n_in, n_rows, n, random))?;
                }
                for extreme in EXTREMES.iter().take(MOST_EXTREMES) {
                    let mut product = Product::new(format, n_in, 5, n, random);
                    extreme.apply(&mut product);
                    both(&product)?;
                }
            }
        }
    }
    Ok(products)
}

/// What all of a product's parts may be, and what its first activation or row scale then is.
struct Extreme {
    integers: u8,
    scales: u8,
    floats: [f32; 2],
    first: f32,
    row_scale: u16,
}

/// The largest sums of either sign, for signed weights and for those with an offset; rows, scales and activations of
/// zeros; what is no number, and what is too small for a normal one.
const EXTREMES: [Extreme; 14] = {
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
        Extreme { floats: [-0.0; 2], first: -0.0, integers: 0, ..large },
        Extreme { scales: 0, ..large },
        Extreme { row_scale: 0, ..large },
        Extreme { first: f32::NAN, ..large },
        Extreme { row_scale: NAN, first: f32::INFINITY, ..large },
        Extreme { row_scale: SUBNORMAL, ..large },
        Extreme { row_scale: SMALL, floats: [1e-30; 2], first: 1e-20, ..large },
        Extreme { floats: [1e-40, -1e-42], first: 1e-39, ..large },
    ]
};

impl Extreme {
    fn apply(&self, product: &mut Product) {
        let Product { format, n_in, .. } = *product;
        for row in aligned_mut(&mut product.rows).chunks_exact_mut(format.row_stride(n_in)) {
            let integers = format.packing().map_or(row.len(), |packing| packing.row_bytes(n_in));
            let (integers, scales) = row.split_at_mut(integers);
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
#[derive(Debug)]
pub struct Product {
    format: Format,
    n_in: usize,
    n_rows: usize,
    n: usize,
    /// As the format lays them out, from the first byte at a multiple of 4 on.
    rows: Vec<u8>,
    floats: Vec<f32>,
}

/// Activations as a kernel wants them.
#[derive(Debug)]
pub struct Inputs<'p> {
    floats: F32Inputs<'p>,
    words: Vec<u32>,
    scales: Vec<f32>,
}

impl Product {
    /// `n_rows` rows of `n_in` weights, by `n` positions.
    pub fn new(format: Format, n_in: usize, n_rows: usize, n: usize, random: &mut Random) -> Self {
        let stride = format.row_stride(n_in);
        let mut rows = vec![0; n_rows * stride + 3];
        for (i, row) in aligned_mut(&mut rows).chunks_exact_mut(stride).enumerate() {
            match format {
                Format::F32 => {
                    row.as_chunks_mut().0.iter_mut().for_each(|weight| *weight = random.float().to_le_bytes());
                }
                _ => row.iter_mut().for_each(|byte| *byte = random.next() as u8),
            }
            if format.packing().is_some() {
                // Scales that are powers of two, so that every bit of a sum shows, and neighbours' differ.
                let exponent = 127 + i as u16 % 5;
                row[stride - 2..].copy_from_slice(&(exponent << 7).to_le_bytes());
            }
        }
        let floats = (0..n * n_in).map(|_| random.whole()).collect();
        Self { format, n_in, n_rows, n, rows, floats }
    }

    /// The activations, rounded by the kernel.
    pub fn inputs(&self, kernel: &impl Kernel, width: Width) -> Inputs<'_> {
        let (mut words, mut scales) = (vec![0; self.n * input_words(self.n_in)], vec![0.0; self.n]);
        let floats = F32Inputs::new(&self.floats, self.n_in).expect("whole positions");
        let rounding =
            self.format.packing().and_then(|packing| Rounding::new(&mut words, &mut scales, floats, packing));
        match (width, rounding) {
            (Width::I16, Some(rounding)) => kernel.quantize_i16(rounding),
            (Width::I8, Some(rounding)) => kernel.quantize_i8(rounding),
            _ => {}
        }
        Inputs { floats, words, scales }
    }

    /// Multiplies the first `n_rows` rows into `out`, `[positions][n_rows]`.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn multiply(&self, out: &mut [f32], kernel: &impl Kernel, inputs: &Inputs<'_>, width: Width, n_rows: usize) {
        let start = self.rows.as_ptr().align_offset(4);
        let bytes = &self.rows[start..start + n_rows * self.format.row_stride(self.n_in)];
        let rows = Rows::new(self.format, bytes, self.n_in).expect("whole rows");
        if width == Width::F32 {
            return kernel.matmul_f32(F32Matmul::new(out, inputs.floats, rows).expect("outputs"));
        }
        let integers = kernel::Inputs::new(&inputs.words, &inputs.scales, self.n_in).expect("whole positions");
        let matmul = Matmul::new(out, integers, rows).expect("outputs");
        if width == Width::I16 { kernel.matmul_i16(matmul) } else { kernel.matmul_i8(matmul) }
    }

    /// The outputs' bits, and what lies around them.
    fn bits(&self, kernel: &impl Kernel, width: Width) -> Vec<u32> {
        let len = self.n * self.n_rows;
        let mut out = vec![7.0; 3 + len + 3];
        let inputs = self.inputs(kernel, width);
        self.multiply(&mut out[3..3 + len], kernel, &inputs, width, self.n_rows);
        bits(out)
    }
}

/// The bytes from the first at a multiple of 4 on.
fn aligned_mut(bytes: &mut [u8]) -> &mut [u8] {
    let start = bytes.as_ptr().align_offset(4);
    &mut bytes[start..]
}
