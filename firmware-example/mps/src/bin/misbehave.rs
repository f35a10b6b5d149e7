//! Ends as no program should, in the way that the request's context asks for: what the host makes of each is tested.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use emberlm_firmware::{Board, Partitions, score};
use emberlm_mps::{Mps, exit, model_partition, request_partition, take};
use emberlm_request::Request;
use emberlm_request::report::{Report, SEPARATOR, key};
use emberlm_semihosted::Semihosted;

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    match Request::decode(request_partition()).map(|request| request.header().n_ctx) {
        Ok(1) => panic!("asked to"),
        Ok(2) => cortex_m::asm::udf(),
        Ok(3) => exit(true),
        Ok(4) => {
            let ended = board.line(key::BOARD, Inner::NAME).is_ok();
            exit(ended)
        }
        Ok(5) => loop {
            cortex_m::asm::wfi();
        },
        _ => {
            let partitions = Partitions { model: model_partition(), request: request_partition() };
            exit(score(&mut Liar { board, was_key: false }, partitions, buffers))
        }
    }
}

type Inner = Semihosted<Mps>;

/// A board that prints other bits than those it computed.
struct Liar {
    board: Inner,
    /// Of the line under way there is the key, and no more than what follows it.
    was_key: bool,
}

impl Write for Liar {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let lies = self.was_key && text != SEPARATOR;
        self.was_key = text == key::NLL_BITS || (self.was_key && text == SEPARATOR);
        self.board.write_str(if lies { "0123456789abcdef" } else { text })
    }
}

impl Board for Liar {
    const NAME: &'static str = Inner::NAME;
    type Kernel = <Inner as Board>::Kernel;
    const TICKS_PER_1000_INSTRUCTIONS: u64 = Inner::TICKS_PER_1000_INSTRUCTIONS;

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
