//! Counts the instructions of each part of a forward pass of the model in its partition.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::profile;
use emberlm_mps::{exit, model_partition, take};

#[entry]
fn main() -> ! {
    let Some((mut board, _)) = take() else { exit(false) };
    exit(profile(&mut board, model_partition()))
}
