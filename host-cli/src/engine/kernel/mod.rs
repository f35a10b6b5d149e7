//! Kernels for the host's processor, chosen when the program runs. All give the portable kernel's bits.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod lanes;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod pack;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod positions;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tile;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod walk;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
use aarch64::turn;
#[cfg(target_arch = "x86_64")]
use x86::turn;

use emberlm_core::kernel::{F32Matmul, Kernel, Matmul, Portable, Rounding};
use emberlm_core::ops::lanes::Plain;

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
    /// 64-bit Arm, which has NEON.
    #[cfg(target_arch = "aarch64")]
    Neon(aarch64::Neon, HostLanes),
}

impl HostKernel {
    /// What any processor can run.
    const PORTABLE: Self = Self::Portable(Portable, HostLanes::Plain(Plain));

    /// Looks at the processor.
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::PORTABLE)
    }

    /// All that this processor can run, the fastest first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vector = [
            x86::Avx512::detect().map(|kernel| Self::Avx512(kernel, HostLanes::Avx512(*kernel.lanes()))),
            x86::Avx2::detect().map(|kernel| Self::Avx2(kernel, HostLanes::Avx2(*kernel.lanes()))),
        ];
        #[cfg(target_arch = "aarch64")]
        let vector = [Some(Self::Neon(aarch64::Neon::default(), HostLanes::Plain(Plain)))];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vector: [Option<Self>; 0] = [];
        vector.into_iter().flatten().chain([Self::PORTABLE])
    }

    /// Does nothing but multiply what is in registers, `rounds` times, as products of many positions do; says how many
    /// products there were, `None` where no instructions were chosen for them.
    pub fn multiply_registers(self, rounds: u64) -> Option<u64> {
        match self {
            Self::Portable(..) => None,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel, _) => Some(kernel.multiply_registers(rounds)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel, _) => Some(kernel.multiply_registers(rounds)),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(kernel, _) => Some(kernel.multiply_registers(rounds)),
        }
    }

    /// Has what lies `ahead` bytes behind the address fetched, where there is an instruction for it.
    #[inline]
    pub fn prefetch<T>(at: *const T, ahead: usize) {
        #[cfg(target_arch = "x86_64")]
        x86::prefetch(at.cast(), ahead);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (at, ahead);
    }

    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable(..) => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(..) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(..) => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(..) => "neon",
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
            #[cfg(target_arch = "aarch64")]
            Self::Neon(kernel, _) => kernel.$method($($argument),*),
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
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_, lanes) => lanes,
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

#[cfg(test)]
mod tests {
    use super::*;
    use emberlm_core::format::Format;
    use emberlm_core::kernel::conformance::{self, Product, Random, Width};

    fn bits(product: &Product, kernel: &impl Kernel, width: Width, [n_rows, n]: [usize; 2]) -> Vec<u32> {
        let mut out = vec![f32::NAN; n_rows * n];
        product.multiply(&mut out, kernel, &product.inputs(kernel, width), width, n_rows);
        out.into_iter().map(f32::to_bits).collect()
    }

    /// More rows than a tile has, and more positions than are under way together.
    fn check_many(kernel: &impl Kernel) {
        let mut random = Random::new(9);
        for format in Format::ALL.into_iter().filter(|format| format.packing().is_some()) {
            for (n_in, n_rows, n) in [(130, 77, 17), (64, 33, 11), (321, 40, 8)] {
                let product = Product::new(format, n_in, n_rows, n, &mut random);
                for width in [Width::I16, Width::I8] {
                    let shape = [n_rows, n];
                    let same = bits(&product, kernel, width, shape) == bits(&product, &Portable, width, shape);
                    assert!(same, "{format:?} {n_in} {n_rows} {n}");
                }
            }
        }
    }

    /// The portable kernel's bits in every method.
    pub(super) fn conforms(kernel: &impl Kernel) {
        for seed in 1..=8 {
            conformance::check(kernel, &mut Random::new(seed)).unwrap_or_else(|mismatch| panic!("{seed}: {mismatch}"));
        }
        check_many(kernel);
    }

    #[test]
    fn the_chosen_kernel_gives_the_portable_bits() {
        conforms(&HostKernel::detect());
    }
}
