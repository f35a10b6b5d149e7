//! Compares the board's kernel with the portable one, bit by bit, and counts the instructions of its products.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::kernels;
use emberlm_mps2::{Mps2, exit};

#[entry]
fn main() -> ! {
    let Some((mut board, _)) = Mps2::take() else { exit(false) };
    exit(kernels(&mut board))
}
