//! Writes what follows each line that is typed, by the model in its partition.
#![no_std]
#![no_main]

use emberlm_firmware::console;
use emberlm_riscv_virt::{exit, model_partition, take};
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    exit(console(&mut board, model_partition(), buffers))
}
