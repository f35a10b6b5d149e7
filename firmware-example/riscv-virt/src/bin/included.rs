//! Tests itself with a model that is part of the program: the one file in `EMBERLM_BLOB` when it was built, else a tiny
//! one with random weights.
#![no_std]
#![no_main]

use emberlm_core::include_blob;
use emberlm_firmware::self_test;
use emberlm_riscv_virt::{exit, take};
use riscv_rt::entry;

static MODEL: &[u8] = include_blob!(env!("EMBERLM_BLOB"));

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    exit(self_test(&mut board, MODEL, buffers))
}
