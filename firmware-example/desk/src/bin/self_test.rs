//! Tests itself with the model in the partition, then scores some tokens in one go and in steps, counting cycles.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_desk::{Desk, model_partition};
use emberlm_firmware::{self_test, steps};

#[entry]
fn main() -> ! {
    if let Some((mut board, mut buffers)) = Desk::take()
        && self_test(&mut board, model_partition(), buffers.reborrow())
    {
        steps(&mut board, model_partition(), buffers, || 0);
    }
    loop {
        cortex_m::asm::wfi();
    }
}
