//! Writes what follows each line that is typed, by the model in its partition.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::console;
use emberlm_mps::{exit, model_partition, take};

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    exit(console(&mut board, model_partition(), buffers))
}
