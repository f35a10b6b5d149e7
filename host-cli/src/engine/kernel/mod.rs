//! Kernels for the host's processor, chosen when the program runs. All give the portable kernel's bits.

mod lanes;
#[cfg(target_arch = "x86_64")]
mod x86;

use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Portable, Rounding};

use self::lanes::HostLanes;

/// The fastest kernel that this processor can run.
#[derive(Clone, Copy, Debug)]
pub enum HostKernel {
    /// Any processor.
    Portable(Portable, HostLanes),
    /// x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2, HostLanes),
    /// x86-64 with AVX-512 and its products of 16-bit integers.
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512, HostLanes),
}

impl HostKernel {
    /// Looks at the processor.
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::Portable(Portable, HostLanes::detect()))
    }

    /// All that this processor can run, the fastest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let lanes = HostLanes::detect();
        #[cfg(target_arch = "x86_64")]
        let vector = [
            x86::Avx512::detect().map(|kernel| Self::Avx512(kernel, lanes)),
            x86::Avx2::detect().map(|kernel| Self::Avx2(kernel, lanes)),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let vector: [Option<Self>; 0] = [];
        vector.into_iter().flatten().chain([Self::Portable(Portable, lanes)])
    }

    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable(..) => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(..) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(..) => "avx512-vnni",
        }
    }
}

/// Calls the chosen kernel's method.
macro_rules! dispatch {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Self::Portable(kernel, _) => kernel.$method($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel, _) => kernel.$method($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel, _) => kernel.$method($($argument),*),
        }
    };
}

impl Kernel for HostKernel {
    type Lanes = HostLanes;

    fn lanes(&self) -> &HostLanes {
        match self {
            Self::Portable(_, lanes) => lanes,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_, lanes) | Self::Avx512(_, lanes) => lanes,
        }
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
