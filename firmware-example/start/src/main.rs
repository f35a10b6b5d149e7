//! Goes on with a prompt, and scores it: the text and the bits that `emberlm generate` and `emberlm eval` give.
#![no_std]
#![no_main]

mod model;

use core::fmt::{self, Write};

#[cfg(target_arch = "arm")]
use {cortex_m as _, cortex_m_rt::entry};
#[cfg(target_arch = "riscv32")]
use {riscv as _, riscv_rt::entry};

use emberlm_core::*;
use model::{CONFIG, Kernel, NEED, RUN};
use semihosting::{print, println, process::ExitCode};
use static_cell::ConstStaticCell;

const PROMPT: &str = "all the world is a stage";

static BLOB: &[u8] = include_blob!("../model.blob");
static KV_CACHE: ConstStaticCell<[u32; NEED.kv_words]> = ConstStaticCell::new([0; _]);
static FLOATS: ConstStaticCell<[f32; NEED.scratch.floats]> = ConstStaticCell::new([0.0; _]);
static WORDS: ConstStaticCell<[u32; NEED.scratch.words]> = ConstStaticCell::new([0; _]);
static CONTEXT: ConstStaticCell<[TokenId; RUN.n_ctx]> = ConstStaticCell::new([0; _]);

#[entry]
fn main() -> ! {
    let ended = run(&mut Console).inspect_err(|error| println!("error: {error}"));
    ExitCode::from(u8::from(ended.is_err())).exit_process()
}

/// Where text goes: here to the debugger, on a board of yours perhaps to a UART.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}

fn run(console: &mut impl Write) -> Result<(), Error> {
    let mut model = Model::open(Mapped::new(BLOB)?)?;
    model.verify_sections()?;
    let text = model.text_tokens()?;
    let Some(tokenizer) = model.tokenizer()? else { return Ok(writeln!(console, "the blob has no tokenizer")?) };
    let kv = RUN.kv_cache(&CONFIG, KV_CACHE.take())?;
    let scratch = RUN.scratch(&CONFIG, FLOATS.take(), WORDS.take())?;
    let mut session = Session::new(model, Kernel, kv, scratch)?;

    let (mut tokens, n_bos) = ([text.bos; PROMPT.len() + 2], usize::from(text.adds_bos));
    let n = n_bos + tokenizer.encode(PROMPT, &mut tokens[n_bos..])?;
    let (mut sinks, mut score) = ([CrossEntropy::new(0)], Score::new());
    score_window(&mut session, &tokens[..n], 0, &mut sinks, |nll| score.push(nll))?;
    writeln!(console, "{:.3} nats a token, nll bits {:016x}", score.mean().unwrap_or(f64::NAN), score.sum().to_bits())?;

    let sampler = Sampler::new(Settings { seed: 1, ..Settings::DEFAULT })?;
    let mut generation = Generation::new(&mut session, sampler, CONTEXT.take(), WhenFull::Stop)?;
    generation.append(&tokens[..n])?;
    let mut decoder = Decoder::after(tokenizer, &tokens[n_bos..n]);
    write!(console, "{PROMPT}")?;
    while let Some(drawn) = generation.next_token()?.filter(|drawn| !text.ends_with(drawn.token)) {
        decoder.push(drawn.token, console)?;
    }
    decoder.finish(console)?;
    Ok(writeln!(console)?)
}
