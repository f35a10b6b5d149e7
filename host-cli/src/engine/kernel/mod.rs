//! Kernels for the host's processor, chosen when the program runs. All give the portable kernel's bits.

#[cfg(target_arch = "x86_64")]
mod avx2;

use emberlm_core::format::Packing;
use emberlm_core::kernel::{F32Inputs, I8Inputs, I16Inputs, Kernel, Portable, Rows};
use emberlm_core::ops::lanes::Plain;

/// The fastest kernel that this processor can run.
#[derive(Clone, Copy, Debug)]
pub enum HostKernel {
    /// Any processor.
    Portable(Portable),
    /// x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
}

impl HostKernel {
    /// Looks at the processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = avx2::Avx2::detect() {
            return Self::Avx2(kernel);
        }
        Self::Portable(Portable)
    }

    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
        }
    }
}

/// Calls the chosen kernel's method.
macro_rules! dispatch {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Self::Portable(kernel) => kernel.$method($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => kernel.$method($($argument),*),
        }
    };
}

impl Kernel for HostKernel {
    type Lanes = Plain;

    fn lanes(&self) -> &Plain {
        &Plain
    }

    fn quantize_i16(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        dispatch!(self, quantize_i16(words, scales, x, packing, n_in));
    }

    fn quantize_i8(&self, words: &mut [u32], scales: &mut [f32], x: &[f32], packing: Packing, n_in: usize) {
        dispatch!(self, quantize_i8(words, scales, x, packing, n_in));
    }

    fn matmul_f32(&self, out: &mut [f32], out_stride: usize, inputs: F32Inputs<'_>, rows: Rows<'_>) {
        dispatch!(self, matmul_f32(out, out_stride, inputs, rows));
    }

    fn matmul_i16(&self, out: &mut [f32], out_stride: usize, inputs: I16Inputs<'_>, rows: Rows<'_>) {
        dispatch!(self, matmul_i16(out, out_stride, inputs, rows));
    }

    fn matmul_i8(&self, out: &mut [f32], out_stride: usize, inputs: I8Inputs<'_>, rows: Rows<'_>) {
        dispatch!(self, matmul_i8(out, out_stride, inputs, rows));
    }
}
