//! The smallest program that scores: what is left of the others without formats that its model does not have, without
//! messages, and with every buffer's size known when it is built.
//!
//! It prints hexadecimal integers only, as lines `key: value`; its exit code says whether all went well.
#![no_std]
#![no_main]

mod buffers;

use buffers::{BUFFERS, Buffers, N_CTX, NEED, RUN};
use cortex_m_rt::entry;
use emberlm_core::config::TokenId;
use emberlm_core::kernel::CortexMDsp;
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::score::{SelfTestOutcome, run_self_test, score_window};
use emberlm_core::session::Session;
use emberlm_core::source::Mapped;
use emberlm_lean::{KV, MODEL, print};
use emberlm_request::Request;
use emberlm_request::report::key;
use emberlm_semihosted::memory::{self, model_partition, request_partition};
use emberlm_semihosted::{Console, exit, systick};
use static_cell::StaticCell;

#[entry]
fn main() -> ! {
    memory::stack().paint();
    exit(score().is_some())
}

/// Scores the request with the model and prints what came out; `None` where something is wrong.
fn score() -> Option<()> {
    systick::start()?;
    let request = Request::decode(request_partition()).ok()?;
    let header = request.header();
    let (session, tokens) = session()?;
    let sinks = &mut [CrossEntropy::new(0)];
    if header.n_ctx > N_CTX || header.kv_type != KV || run_self_test(session, sinks) != Ok(SelfTestOutcome::Passed) {
        return None;
    }
    let mut score = Score::new();
    let start = systick::ticks();
    for row in request.rows() {
        for window in header.convention.windows(row.len(), header.n_ctx) {
            let tokens = tokens.get_mut(..=window.n_inputs)?;
            row.read(window.start, tokens);
            score_window(session, tokens, window.first_scored, sinks, |nll| score.push(nll)).ok()?;
        }
    }
    report(&score, systick::ticks() - start)
}

/// The model in its partition, ready for work, and room for a window's tokens.
#[inline(never)] // What it takes of the stack is free again when it returns.
fn session() -> Option<(&'static mut Session<'static, Mapped<'static>, CortexMDsp>, &'static mut [TokenId])> {
    static SESSION: StaticCell<Session<'static, Mapped<'static>, CortexMDsp>> = StaticCell::new();
    let Buffers { kv, floats, words, tokens } = BUFFERS.try_take()?;
    let mut model = Model::open(Mapped::new(model_partition()).ok()?).ok()?;
    model.verify_sections().ok()?;
    // A session takes memory for no other shape.
    let kv = RUN.kv_cache(&MODEL, kv).ok()?;
    let scratch = RUN.scratch(&MODEL, floats, words).ok()?;
    let session = Session::new(model, CortexMDsp, kv, scratch).ok()?;
    Some((SESSION.try_init(session)?, tokens))
}

/// Prints what came out, and what it took.
#[inline(never)]
fn report(score: &Score, ticks: u64) -> Option<()> {
    let stack_bytes = memory::stack().high_water_bytes();
    let mut console = Console::open()?;
    print(&mut console, key::TOKENS_SCORED, score.n())?;
    print(&mut console, key::NLL_BITS, score.sum().to_bits())?;
    print(&mut console, key::TICKS, ticks)?;
    print(&mut console, key::KV_BYTES, NEED.kv_bytes() as u64)?;
    print(&mut console, key::RAM_BYTES, memory::static_bytes() as u64)?;
    print(&mut console, key::STACK_BYTES, stack_bytes as u64)
}
