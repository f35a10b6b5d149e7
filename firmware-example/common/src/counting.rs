//! A kernel that counts what the board's takes.

use core::hint::black_box;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use emberlm_core::format::Format;
use emberlm_core::kernel::conformance::Width;
use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Rounding};
use emberlm_core::ops::attention::HeadRows;
use emberlm_core::ops::lanes::Lanes;
use emberlm_core::ops::vector::Update;

use crate::Board;

/// Ticks in products since the last reset, of which there are fewer than 2^32. One core counts; that others could look is
/// what a kernel's type asks for.
#[derive(Default)]
pub(crate) struct Products {
    /// When the first one began; meaningless before.
    first: AtomicU32,
    n: AtomicU32,
    within: AtomicU32,
    /// Sums that became floats, by format and width.
    outputs: [[AtomicU32; WIDTHS.len()]; Format::ALL.len()],
}

/// What integer products round activations to.
const WIDTHS: [Width; 2] = [Width::I16, Width::I8];

/// Integer products of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    pub format: Format,
    pub width: Width,
    /// Sums that became floats.
    pub count: u64,
}

impl Products {
    /// Starts anew, but for the outputs.
    pub(crate) fn reset(&self) {
        self.n.store(0, Relaxed);
        self.within.store(0, Relaxed);
    }

    /// Ticks from `start` to the first product, and in all of them.
    pub(crate) fn counted(&self, start: u64) -> (u64, u64) {
        let first = self.first.load(Relaxed).wrapping_sub(start as u32);
        (if self.n.load(Relaxed) > 0 { first.into() } else { 0 }, self.within.load(Relaxed).into())
    }

    /// All integer products so far.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = Outputs> {
        let kinds = Format::ALL.into_iter().flat_map(|format| WIDTHS.map(|width| (format, width)));
        kinds.filter_map(|(format, width)| {
            let count = self.place(format, width)?.load(Relaxed).into();
            (count > 0).then_some(Outputs { format, width, count })
        })
    }

    fn add_outputs(&self, format: Format, width: Width, count: usize) {
        if let Some(total) = self.place(format, width) {
            add(total, count as u32);
        }
    }

    fn place(&self, format: Format, width: Width) -> Option<&AtomicU32> {
        self.outputs.get(format as usize)?.get(usize::from(width == Width::I8))
    }
}

/// Not every core can add in one go, and only one does.
fn add(total: &AtomicU32, count: u32) {
    total.store(total.load(Relaxed).wrapping_add(count), Relaxed);
}

/// The board's kernel, its products counted.
pub(crate) struct Counting<'a, B: Board> {
    board: &'a B,
    kernel: B::Kernel,
    products: &'a Products,
    /// Whether attention's integer products are made twice: what that adds is what they take.
    twice: bool,
}

impl<'a, B: Board> Counting<'a, B> {
    pub(crate) fn new(board: &'a B, products: &'a Products) -> Self {
        Self { board, kernel: B::Kernel::default(), products, twice: false }
    }

    /// Also makes attention's integer products twice.
    pub(crate) fn twice(board: &'a B, products: &'a Products) -> Self {
        Self { twice: true, ..Self::new(board, products) }
    }

    fn count(&self, product: impl FnOnce(&B::Kernel)) {
        let start = self.board.ticks();
        product(&self.kernel);
        let Products { first, n, within, .. } = self.products;
        add(within, (self.board.ticks() - start) as u32);
        if n.load(Relaxed) == 0 {
            first.store(start as u32, Relaxed);
        }
        add(n, 1);
    }
}

impl<B: Board + Sync> Kernel for Counting<'_, B> {
    type Lanes = Self;

    fn lanes(&self) -> &Self {
        self
    }

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        self.kernel.quantize_i16(rounding);
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        self.kernel.quantize_i8(rounding);
    }

    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        self.count(|kernel| kernel.matmul_f32(matmul));
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        let (format, count) = (matmul.rows().format(), matmul.n_outputs());
        self.count(|kernel| kernel.matmul_i16(matmul));
        self.products.add_outputs(format, Width::I16, count);
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        let (format, count) = (matmul.rows().format(), matmul.n_outputs());
        self.count(|kernel| kernel.matmul_i8(matmul));
        self.products.add_outputs(format, Width::I8, count);
    }
}

impl<B: Board + Sync> Lanes for Counting<'_, B> {
    fn dots_i8(&self, sums: &mut [i32], query: &[u32], keys: HeadRows<'_>) {
        if self.twice {
            self.kernel.lanes().dots_i8(black_box(&mut *sums), query, keys);
        }
        self.kernel.lanes().dots_i8(sums, query, keys);
    }

    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        if self.twice {
            black_box(self.kernel.lanes().weigh_i8(black_box(values), stride, weights));
        }
        self.kernel.lanes().weigh_i8(values, stride, weights)
    }

    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        self.kernel.lanes().dots_f32(scores, query, keys);
    }

    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        self.kernel.lanes().add_weighted_f32(out, weights, values);
    }

    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        self.kernel.lanes().dots_f16(scores, query, keys);
    }

    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        self.kernel.lanes().add_weighted_f16(out, weights, values);
    }

    fn exp_terms(&self, x: &mut [f32], exponents: &mut [i32]) -> i32 {
        self.kernel.lanes().exp_terms(x, exponents)
    }

    fn weigh_terms(&self, factors: &mut [f32], exponents: &[i32], reference: i32, sum: f32) -> f32 {
        self.kernel.lanes().weigh_terms(factors, exponents, reference, sum)
    }

    fn less_bump<const N: usize>(&self, out: &mut [f32], x: &[f32], cubics: &[[i32; 4]; N], far: f32, spacing: i32) {
        self.kernel.lanes().less_bump(out, x, cubics, far, spacing);
    }

    fn update(&self, x: &mut [f32], floats: &[[u8; 4]], update: Update) {
        self.kernel.lanes().update(x, floats, update);
    }

    fn scale(&self, x: &mut [f32], by: f32) {
        self.kernel.lanes().scale(x, by);
    }

    fn sqrt(&self, x: f32) -> f32 {
        self.kernel.lanes().sqrt(x)
    }
}
