//! Ends as no program should, in the way that the request's context asks for: what the host makes of each is tested.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use emberlm_firmware::{Board, Partitions, score};
use emberlm_mps::{Mps, exit, model_partition, request_partition};
use emberlm_request::Request;

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = Mps::take() else { exit(false) };
    match Request::decode(request_partition()).map(|request| request.header().n_ctx) {
        Ok(1) => panic!("asked to"),
        Ok(2) => cortex_m::asm::udf(),
        Ok(3) => exit(true),
        Ok(4) => {
            let ended = writeln!(board, "board: {}", Mps::NAME).is_ok();
            exit(ended)
        }
        Ok(5) => loop {
            cortex_m::asm::wfi();
        },
        _ => {
            let partitions = Partitions { model: model_partition(), request: request_partition() };
            exit(score(&mut Liar { board, lies: false }, partitions, buffers))
        }
    }
}

/// A board that prints other bits than those it computed.
struct Liar {
    board: Mps,
    lies: bool,
}

impl Write for Liar {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_key = text.ends_with("nll_bits: ");
        let lies = core::mem::replace(&mut self.lies, is_key);
        self.board.write_str(if lies { "0123456789abcdef" } else { text })
    }
}

impl Board for Liar {
    const NAME: &'static str = Mps::NAME;
    type Kernel = <Mps as Board>::Kernel;
    const TICKS_PER_1000_INSTRUCTIONS: u64 = Mps::TICKS_PER_1000_INSTRUCTIONS;

    fn ticks(&self) -> u64 {
        self.board.ticks()
    }

    fn static_bytes(&self) -> usize {
        self.board.static_bytes()
    }

    fn stack_bytes(&self) -> usize {
        self.board.stack_bytes()
    }

    fn heap_free(&self) -> usize {
        self.board.heap_free()
    }
}
