//! The kernel that multiplies, where a verb lets people choose it.

use clap::Args;

use crate::engine::kernel::HostKernel;
use crate::ground::named;

/// The words that say which of this processor's kernels is to run.
#[derive(Args, Clone, Copy, Debug)]
pub struct RawKernel {
    /// What multiplies on this processor: avx512-vnni, avx2, neon or portable; all give the same bits [default: the
    /// fastest that it can run]
    #[arg(long, value_name = "NAME", value_parser = parse)]
    kernel: Option<HostKernel>,
}

impl RawKernel {
    /// What was asked for, if anything was.
    pub const fn named(self) -> Option<HostKernel> {
        self.kernel
    }

    /// What was asked for, or the fastest.
    pub fn resolve(self) -> HostKernel {
        self.kernel.unwrap_or_else(HostKernel::detect)
    }
}

/// The kernel of that name.
///
/// # Errors
/// This processor cannot run one: a line that lists those that it can.
fn parse(name: &str) -> Result<HostKernel, String> {
    named::find(&HostKernel::all().collect::<Vec<_>>(), HostKernel::name, name)
        .map_err(|error| format!("{error}, which are what this processor can run"))
}
