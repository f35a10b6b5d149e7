//! A forward pass that shares the core with other tasks: it yields to the executor after every step.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_executor::Spawner;
use embassy_futures::yield_now;
use emberlm_core::blob::OpenError;
use emberlm_core::config::TokenId;
use emberlm_core::kernel::Kernel;
use emberlm_core::kv_cache::{KvCache, KvSize};
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::scratch::{Batch, Scratch};
use emberlm_core::session::{ForwardError, Progress, Session};
use emberlm_core::source::{Mapped, Source};
use emberlm_desk::{self as desk, CONFIG, Desk, KV, N_CTX, model_partition};
use emberlm_firmware::{Buffers, ProgramError};
use emberlm_request::report::{Report, key};

/// Rows of a matrix or heads that a step takes: other tasks wait no longer than for these.
const ROWS: usize = 8;

static TURNS: AtomicU32 = AtomicU32::new(0);

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let Some((mut board, buffers)) = Desk::take() else { return };
    if let Ok(task) = count_turns() {
        spawner.spawn(task);
    }
    // A probe that went away takes the messages with it.
    let _ = match score(buffers).await {
        Ok(sum) => board
            .line(key::NLL_BITS, format_args!("{:016x}", sum.to_bits()))
            .and_then(|()| board.line("turns", TURNS.load(Ordering::Relaxed))),
        Err(error) => board.line(key::ERROR, error),
    };
}

/// Another task: here it counts how often it had its turn.
#[embassy_executor::task]
async fn count_turns() {
    loop {
        TURNS.store(TURNS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        yield_now().await;
    }
}

/// The summed nll of tokens 1, 2, 3, … after one another.
async fn score(buffers: Buffers<'static>) -> Result<f64, ProgramError> {
    let model = Model::open(Mapped::new(model_partition())?)?;
    if *model.config() != CONFIG {
        return Err(OpenError::Manifest.into());
    }
    let kv = KvCache::whole(KvSize::new(KV, N_CTX, 1), &CONFIG, buffers.kv)?;
    let scratch = Scratch::new(&CONFIG, Batch::of(1), buffers.floats, buffers.words)?;
    let mut session = Session::new(model, desk::Kernel::default(), kv, scratch)?;
    let mut sum = 0.0;
    for token in 1..=N_CTX as u32 {
        let failed = |error| ProgramError::Score { row: 0, start: token as usize - 1, error };
        let mut sink = [CrossEntropy::new(token + 1)];
        pass(&mut session, token, &mut sink).await.map_err(|error| failed(error.into()))?;
        sum += f64::from(sink[0].nll().ok().flatten().unwrap_or(f32::NAN));
    }
    Ok(sum)
}

/// One token to its sink, step by step.
async fn pass<S: Source, K: Kernel>(
    session: &mut Session<'_, S, K>,
    token: TokenId,
    sink: &mut [CrossEntropy],
) -> Result<(), ForwardError> {
    let token = [token];
    let mut pass = session.begin_forward(&token)?;
    while pass.step(ROWS)? == Progress::More {
        yield_now().await;
    }
    let mut head = session.begin_head(0, sink)?;
    while head.step(ROWS)? == Progress::More {
        yield_now().await;
    }
    Ok(())
}
