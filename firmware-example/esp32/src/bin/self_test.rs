//! Tests itself with the model in the flash's partition, then scores some tokens in one go and in steps, counting cycles.
#![no_std]
#![no_main]

use emberlm_core::source::{Aligned, Nor};
use emberlm_esp32::{Esp32, model_partition};
use emberlm_firmware::{Buffers, self_test_copied, steps_copied};
use emberlm_request::report::{Report, key};
use esp_bootloader_esp_idf::partitions::{Error, FlashStorage};
use static_cell::ConstStaticCell;

// What the boot loader looks for.
esp_bootloader_esp_idf::esp_app_desc!();

/// A sector of the flash.
static BLOCK: ConstStaticCell<Aligned<[u8; FlashStorage::SECTOR_SIZE as usize]>> =
    ConstStaticCell::new(Aligned([0; _]));

#[esp_hal::main]
fn main() -> ! {
    if let (Some((mut board, mut flash, buffers)), Some(block)) = (Esp32::take(), BLOCK.try_take())
        && let Err(error) = run(&mut board, &mut flash, &mut block.0, buffers)
    {
        // A console that is gone takes the message with it.
        let _ = board.line(key::ERROR, format_args!("the partition `model`: {error}")).and_then(|()| board.end(false));
    }
    loop {
        core::hint::spin_loop();
    }
}

fn run(board: &mut Esp32, flash: &mut FlashStorage, block: &mut [u8], mut buffers: Buffers<'_>) -> Result<(), Error> {
    let mut partition = model_partition(flash)?;
    let mut model = partition.as_nor_flash()?;
    if self_test_copied(board, Nor::new(&mut model), block, buffers.reborrow()) {
        steps_copied(board, Nor::new(&mut model), block, buffers, || 0);
    }
    Ok(())
}
