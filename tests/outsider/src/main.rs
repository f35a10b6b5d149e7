//! Scores the same tokens with every included model, with every kernel that the target has and every type of KV cache.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use emberlm_core::config::TokenId;
use emberlm_core::kernel::{Kernel, Portable, Scalar};
use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::model::Model;
use emberlm_core::score::score_window;
use emberlm_core::scratch::{Batch, Scratch};
use emberlm_core::session::Session;
use emberlm_core::source::Mapped;
use semihosting::println;
use semihosting::process::ExitCode;

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

static BLOBS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/blobs.rs"));

/// The inputs, of which four go through the layers together, and the last one's target.
const TOKENS: [TokenId; 16] = [7, 0, 33, 12, 60, 1, 5, 5, 41, 28, 2, 59, 17, 36, 9, 50];
const BATCH: usize = 4;

#[entry]
fn main() -> ! {
    match every_kernel() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
    .exit_process()
}

fn every_kernel() -> Result<(), &'static str> {
    every_model("portable", Portable)?;
    every_model("scalar", Scalar)?;
    #[cfg(feature = "cortex-m-dsp")]
    every_model("cortex-m-dsp", emberlm_core::kernel::CortexMDsp)?;
    #[cfg(feature = "cortex-m-mve")]
    every_model("cortex-m-mve", emberlm_core::kernel::CortexMMve)?;
    Ok(())
}

fn every_model(name: &str, kernel: impl Kernel + Copy) -> Result<(), &'static str> {
    for &(model, blob) in BLOBS {
        for kv_type in KvType::ALL {
            let bits = score(blob, kernel, kv_type)?.to_bits();
            println!("{name} {model} {}: {bits:016x}", kv_type.name());
        }
    }
    Ok(())
}

/// The summed losses.
fn score(blob: &[u8], kernel: impl Kernel, kv_type: KvType) -> Result<f64, &'static str> {
    let source = Mapped::new(blob).map_err(|_| "the blob lies at the wrong address")?;
    let model = Model::open(source).map_err(|_| "the blob does not open")?;
    let (mut kv, mut floats, mut words) = ([0; 8192], [0.0; 8192], [0; 8192]);
    let size = KvSize::new(kv_type, TOKENS.len(), BATCH);
    let kv = KvCache::whole(size, model.config(), &mut kv).map_err(|_| "too small a KV cache")?;
    let batch = Batch { window: TOKENS.len(), ..Batch::of(BATCH) };
    let scratch = Scratch::new(model.config(), batch, &mut floats, &mut words).map_err(|_| "too little scratch")?;
    let mut session = Session::new(model, kernel, kv, scratch).map_err(|_| "parts that do not fit")?;
    let (mut sinks, mut score) = ([CrossEntropy::new(0); BATCH], Score::new());
    score_window(&mut session, &TOKENS, 0, &mut sinks, |nll| score.push(nll)).map_err(|_| "no loss")?;
    Ok(score.sum())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    ExitCode::FAILURE.exit_process()
}
