//! Matrix products: the one place where a weight is multiplied.
//!
//! A [`Kernel`] is chosen when a session is made and dispatched statically. [`Portable`] is the truth; every other
//! kernel gives its bits, which property tests show. Kernels know rows of weights and positions of activations, never
//! models.

/// The first line of assembly that the target may have no instructions for: every one of a Cortex-M there is. What it says
/// holds for all assembly behind it in the same object, which after link-time optimisation is everybody's, so that it may
/// only ever allow more.
#[cfg(all(target_arch = "arm", any(feature = "cortex-m-dsp", feature = "cortex-m-mve")))]
macro_rules! any_cortex_m {
    () => {
        ".cpu cortex-m85"
    };
}

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
mod cortex_m_dsp;
#[cfg(all(target_arch = "arm", feature = "cortex-m-mve"))]
mod cortex_m_mve;
mod inputs;
mod matmul;
mod portable;
mod rows;
mod scalar;

#[cfg(all(target_arch = "arm", feature = "cortex-m-dsp"))]
pub use cortex_m_dsp::CortexMDsp;
#[cfg(all(target_arch = "arm", feature = "cortex-m-mve"))]
pub use cortex_m_mve::CortexMMve;
pub use inputs::{F32Inputs, I8Position, I16Position, Inputs, Position, Rounding, RoundingParts, input_words};
pub use matmul::{F32Matmul, F32Parts, Matmul, Parts};
pub use portable::{Portable, Scaling, finish};
pub(crate) use portable::{accumulate_floats, accumulate_groups, sum};
pub use rows::{PackedRow, Rows, Unpacked, row_scale, signed_bytes};
pub use scalar::Scalar;

use crate::ops::lanes::Lanes;

/// How a processor multiplies: products of whole rows, and [lanes](Kernel::lanes) for everything else.
///
/// Whoever implements it owns the whole of a product, from the order that activations are laid out in to the sums, so that
/// nothing has a default: a kernel that rounds activations its own way and leaves the product with them to another does
/// not compile.
///
/// `kernel::conformance`, behind the feature of that name, checks an implementation.
pub trait Kernel: Sync {
    /// Elementwise operations, and the products of attention's heads.
    type Lanes: Lanes;

    /// These.
    fn lanes(&self) -> &Self::Lanes;

    /// Rounds activations to 16 bits for this kernel's [`Kernel::matmul_i16`] with weights of such a packing.
    fn quantize_i16(&self, rounding: Rounding<'_>);

    /// Rounds activations to 8 bits for this kernel's [`Kernel::matmul_i8`].
    fn quantize_i8(&self, rounding: Rounding<'_>);

    /// Weights of any format by f32 activations: each weight as an f32, `(row_scale * scale) * integer` where it is
    /// one; each dot product eight stripes of sums, folded.
    fn matmul_f32(&self, matmul: F32Matmul<'_>);

    /// Integer weights by 16-bit activations: each dot product is an exact integer sum of
    /// `scale * integer * activation`, then `(f32(sum >> shift) * row_scale) * (input_scale * 2^shift)`.
    fn matmul_i16(&self, matmul: Matmul<'_>);

    /// Integer weights by 8-bit activations: as [`Kernel::matmul_i16`], each product also times the activations' own
    /// integer scale.
    fn matmul_i8(&self, matmul: Matmul<'_>);
}
