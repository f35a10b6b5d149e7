//! Activations as these kernels meet them.

use emberlm_core::kernel::Scaling;

/// Activations, two a word, and what one stands for.
#[derive(Clone, Copy)]
pub(super) struct Positions<'a> {
    /// `[positions][stride]`
    pub words: &'a [u32],
    pub stride: usize,
    pub scales: &'a [f32],
    pub scaling: Scaling,
}
