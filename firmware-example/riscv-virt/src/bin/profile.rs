//! Counts the instructions of each part of a forward pass of the model in its partition.
#![no_std]
#![no_main]

use emberlm_firmware::profile;
use emberlm_riscv_virt::{exit, model_partition, take};
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    let Some((mut board, _)) = take() else { exit(false) };
    exit(profile(&mut board, model_partition()))
}
