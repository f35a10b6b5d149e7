//! Scores requests that come over a cable, and talks over it, with the model in the partition.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::{Need, Order, Run};
use emberlm_desk::{CONFIG, Desk, KV, Uart, model_partition};
use emberlm_firmware::{StaticBuffers, console_need, serve, static_buffers};
use static_cell::ConstStaticCell;

/// A whole context: layer by layer to score, with every layer's keys and values to talk.
const NEED: Need = {
    let n_ctx = CONFIG.n_ctx as usize;
    let score = Run { batch: 4, ..Run::new(Order::LayerMajor, KvType::F32, n_ctx) };
    let talk = Run { batch: 4, ..Run::new(Order::TokenMajor, KV, n_ctx) };
    Need::new(&CONFIG, score).or(console_need(&CONFIG, talk))
};

static BUFFERS: static_buffers!(NEED) = StaticBuffers::new();

/// Some 2,000 tokens.
static REQUEST: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; _]);

#[entry]
fn main() -> ! {
    if let (Some(mut board), Some(wire)) = (Desk::take_silent(), Uart::start())
        && let (Some(buffers), Some(request)) = (BUFFERS.take(), REQUEST.try_take())
    {
        serve(&mut board, wire, model_partition(), request, buffers)
    }
    loop {
        cortex_m::asm::wfi();
    }
}
