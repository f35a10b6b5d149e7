//! The emulated Cortex-M4F, and static buffers for models of up to the bundled ones' size.

use emberlm_core::kernel::CortexMDsp;
use emberlm_firmware::{BATCH, Buffers, StaticBuffers};
use emberlm_semihosted::{Machine, Semihosted, SysTick};

static BUFFERS: StaticBuffers<{ 128 * 1024 }, { 128 * 1024 }, { 16 * 1024 }, { 1024 + 1 }, BATCH> =
    StaticBuffers::new();

/// MPS2 with the FPGA image AN386.
pub struct Mps2;

impl Machine for Mps2 {
    const NAME: &'static str = "mps2-an386";
    type Kernel = CortexMDsp;
    type Clock = SysTick<25>;
}

/// The running board and its buffers; `None` when called a second time, or without a debugger.
pub fn take() -> Option<(Semihosted<Mps2>, Buffers<'static>)> {
    Semihosted::take(&BUFFERS)
}
