//! A kernel that counts what the board's takes.

use core::cell::Cell;

use emberlm_core::format::Packing;
use emberlm_core::kernel::{F32Inputs, I8Inputs, I16Inputs, Kernel, Rows};
use emberlm_core::ops::attention::HeadRows;

use crate::Board;

/// Ticks in products since the last reset.
#[derive(Default)]
pub(crate) struct Products {
    /// When the first one began.
    first: Cell<Option<u64>>,
    within: Cell<u64>,
}

impl Products {
    /// Starts anew.
    pub(crate) fn reset(&self) {
        self.first.set(None);
        self.within.set(0);
    }

    /// Ticks from `start` to the first product, and in all of them.
    pub(crate) fn counted(&self, start: u64) -> (u64, u64) {
        (self.first.get().map_or(0, |first| first - start), self.within.get())
    }
}

/// The board's kernel, its products counted.
pub(crate) struct Counting<'a, B: Board> {
    board: &'a B,
    kernel: B::Kernel,
    products: &'a Products,
}

impl<'a, B: Board> Counting<'a, B> {
    pub(crate) fn new(board: &'a B, products: &'a Products) -> Self {
        Self { board, kernel: B::Kernel::default(), products }
    }

    fn count(&self, product: impl FnOnce(&B::Kernel)) {
        let start = self.board.ticks();
        product(&self.kernel);
        let Products { first, within } = self.products;
        within.set(within.get() + self.board.ticks() - start);
        first.set(first.get().or(Some(start)));
    }
}

impl<B: Board> Kernel for Counting<'_, B> {
    fn quantize_i16(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        self.kernel.quantize_i16(words, scales, x, packing, n_in);
    }

    fn quantize_i8(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        self.kernel.quantize_i8(words, scales, x, packing, n_in);
    }

    fn matmul_f32(&self, out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: Rows<'_>) {
        self.count(|kernel| kernel.matmul_f32(out, out_stride, inputs, rows));
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        self.count(|kernel| kernel.matmul_i16(out, out_stride, inputs, rows));
    }

    fn matmul_i8(&self, out: &mut [f32], out_stride: usize, inputs: I8Inputs<'_>, rows: Rows<'_>) {
        self.count(|kernel| kernel.matmul_i8(out, out_stride, inputs, rows));
    }

    fn dot_i8(&self, key: &[u32], query: &[u32]) -> i32 {
        self.kernel.dot_i8(key, query)
    }

    fn weigh_i8(&self, values: &[u32], stride: usize, weights: &[i32]) -> [i32; 4] {
        self.kernel.weigh_i8(values, stride, weights)
    }

    fn dots_f32(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        self.kernel.dots_f32(scores, query, keys);
    }

    fn add_weighted_f32(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        self.kernel.add_weighted_f32(out, weights, values);
    }

    fn dots_f16(&self, scores: &mut [f32], query: &[f32], keys: HeadRows<'_>) {
        self.kernel.dots_f16(scores, query, keys);
    }

    fn add_weighted_f16(&self, out: &mut [f32], weights: &[f32], values: HeadRows<'_>) {
        self.kernel.add_weighted_f16(out, weights, values);
    }
}
