//! Scores with the model in its partition as if that were a NOR flash behind SPI, read through a small buffer.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_core::source::Aligned;
use emberlm_firmware::spi_nor;
use emberlm_mps::{exit, model_partition, take};
use static_cell::ConstStaticCell;

static BUFFER: ConstStaticCell<Aligned<[u8; 1024]>> = ConstStaticCell::new(Aligned([0; 1024]));

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    let Some(buffer) = BUFFER.try_take() else { exit(false) };
    exit(spi_nor(&mut board, model_partition(), buffers, &mut buffer.0))
}
