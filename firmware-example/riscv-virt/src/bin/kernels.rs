//! Compares the board's kernel with the portable one, bit by bit, and counts the instructions of its products.
#![no_std]
#![no_main]

use emberlm_firmware::kernels;
use emberlm_riscv_virt::{exit, take};
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    let Some((mut board, _)) = take() else { exit(false) };
    exit(kernels(&mut board))
}
