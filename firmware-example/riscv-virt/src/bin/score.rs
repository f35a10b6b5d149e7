//! Scores the request in its partition with the model in its partition, so that neither takes a new program.
#![no_std]
#![no_main]

use emberlm_firmware::{Partitions, score};
use emberlm_riscv_virt::{exit, model_partition, request_partition, take};
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    let partitions = Partitions { model: model_partition(), request: request_partition() };
    exit(score(&mut board, partitions, buffers))
}
