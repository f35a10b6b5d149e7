//! Tests itself with a model that is part of the program: the file named by `EMBERLM_BLOB` when it was built, else a tiny
//! one with random weights. Then it scores some tokens in one go and in steps.
#![no_std]
#![no_main]

use emberlm_core::include_blob;
use emberlm_esp32::Esp32;
use emberlm_firmware::{self_test, steps};

// What the boot loader looks for.
esp_bootloader_esp_idf::esp_app_desc!();

static MODEL: &[u8] = include_blob!(env!("EMBERLM_BLOB"));

#[esp_hal::main]
fn main() -> ! {
    if let Some((mut board, mut buffers)) = Esp32::take()
        && self_test(&mut board, MODEL, buffers.reborrow())
    {
        steps(&mut board, MODEL, buffers, || 0);
    }
    loop {
        core::hint::spin_loop();
    }
}
