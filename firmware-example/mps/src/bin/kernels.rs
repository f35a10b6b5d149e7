//! Compares the board's kernel with the portable one, bit by bit, and counts the instructions of its products.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::kernels;
use emberlm_mps::{exit, take};

#[entry]
fn main() -> ! {
    let Some((mut board, _)) = take() else { exit(false) };
    exit(kernels(&mut board))
}
