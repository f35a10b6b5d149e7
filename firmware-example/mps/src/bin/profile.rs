//! Counts the instructions of each part of a forward pass of the model in its partition.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::profile;
use emberlm_mps::{Mps, exit, model_partition};

#[entry]
fn main() -> ! {
    let Some((mut board, _)) = Mps::take() else { exit(false) };
    exit(profile(&mut board, model_partition()))
}
