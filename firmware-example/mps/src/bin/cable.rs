//! Scores requests that come over a cable at UART0, and talks over it, with the model in its partition.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::serve;
use emberlm_mps::{Uart, exit, model_partition, take_silent};
use static_cell::ConstStaticCell;

/// What a request may take: 32,000 tokens, or half as many of a large vocabulary.
static REQUEST: ConstStaticCell<[u8; 64 * 1024]> = ConstStaticCell::new([0; _]);

#[entry]
fn main() -> ! {
    let (Some((mut board, buffers)), Some(request)) = (take_silent(), REQUEST.try_take()) else { exit(false) };
    serve(&mut board, Uart::start(), model_partition(), request, buffers)
}
