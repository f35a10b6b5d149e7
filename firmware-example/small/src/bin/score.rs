//! Scores the request in its partition with the model in its partition, so that neither takes a new program.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_firmware::{Partitions, score};
use emberlm_small::{exit, model_partition, request_partition, take};

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    let partitions = Partitions { model: model_partition(), request: request_partition() };
    exit(score(&mut board, partitions, buffers))
}
