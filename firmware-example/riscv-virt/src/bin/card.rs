//! Scores the request in its partition with the model in the file `model.blob`, read in blocks as from an SD card: no weight
//! is ever in memory but for the block under way.
#![no_std]
#![no_main]

use emberlm_core::source::Aligned;
use emberlm_firmware::score_copied;
use emberlm_riscv_virt::{HostFile, exit, request_partition, take};
use riscv_rt::entry;
use static_cell::ConstStaticCell;

/// Rows of one block: 20 of the largest matrices of GPT-2 at 8 bits a weight.
static BLOCK: ConstStaticCell<Aligned<[u8; 64 * 1024]>> = ConstStaticCell::new(Aligned([0; _]));

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    let (Some(card), Some(block)) = (HostFile::open(c"model.blob"), BLOCK.try_take()) else { exit(false) };
    exit(score_copied(&mut board, card, &mut block.0, request_partition(), buffers))
}
