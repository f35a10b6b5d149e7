//! Kernels for the host's processor, chosen when the program runs. All give the portable kernel's bits.

#[cfg(target_arch = "x86_64")]
mod avx2;

use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Portable, Rounding};
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

    fn quantize_i16(&self, rounding: Rounding<'_>) {
        dispatch!(self, quantize_i16(rounding));
    }

    fn quantize_i8(&self, rounding: Rounding<'_>) {
        dispatch!(self, quantize_i8(rounding));
    }

    fn matmul_f32(&self, matmul: F32Matmul<'_>) {
        dispatch!(self, matmul_f32(matmul));
    }

    fn matmul_i16(&self, matmul: Matmul<'_>) {
        dispatch!(self, matmul_i16(matmul));
    }

    fn matmul_i8(&self, matmul: Matmul<'_>) {
        dispatch!(self, matmul_i8(matmul));
    }
}
