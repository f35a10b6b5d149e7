//! Writes what follows a prompt, token by token, in a context that slides when it is full.
//!
//! usage: `cargo run --example generate`

use core::fmt::Write;

use emberlm_core::{
    Config, Decoder, Error, Generation, KvType, Mapped, Model, Need, Order, Portable, Run, Sampler, Session, Settings,
    TokenId, WhenFull, include_blob,
};
use static_cell::ConstStaticCell;

static BLOB: &[u8] = include_blob!("letters.blob");

/// The model's shape, as `emberlm inspect` prints it. Another blob's would be an error that says need and have.
const SHAPE: Config = Config { n_vocab: 27, n_ctx: 48, n_embd: 32, n_layer: 1, n_ff: 32, ..Config::GPT2 }.with_heads(2);

const N_CTX: usize = SHAPE.n_ctx as usize;

/// A text that goes on needs the keys and values of all layers. A prompt goes through them eight positions at a time, what
/// is drawn one by one.
const RUN: Run = Run { batch: 8, ..Run::new(Order::TokenMajor, KvType::I8, N_CTX) };

/// What that takes.
const NEED: Need = Need::new(&SHAPE, RUN);

/// What the text begins with.
pub const PROMPT: &str = "rosalind ";
/// How letters are drawn.
pub const SETTINGS: Settings = Settings { temperature: 0.8, top_k: Some(8), seed: 1, ..Settings::DEFAULT };
/// Letters to draw.
pub const MAX_TOKENS: usize = 100;

/// Positions that stay when the context is full.
pub const KEEP: usize = 24;

static KV_CACHE: ConstStaticCell<[u32; NEED.kv_words]> = ConstStaticCell::new([0; _]);
static FLOATS: ConstStaticCell<[f32; NEED.scratch.floats]> = ConstStaticCell::new([0.0; _]);
static WORDS: ConstStaticCell<[u32; NEED.scratch.words]> = ConstStaticCell::new([0; _]);
static CONTEXT: ConstStaticCell<[TokenId; N_CTX]> = ConstStaticCell::new([0; _]);

/// Writes what follows the prompt.
pub fn generate(console: &mut impl Write) -> Result<(), Error> {
    let model = Model::open(Mapped::new(BLOB)?)?;
    let Some(tokenizer) = model.tokenizer()? else { return Ok(writeln!(console, "the blob has no tokeniser")?) };
    let kv = RUN.kv_cache(&SHAPE, KV_CACHE.take())?;
    let scratch = RUN.scratch(&SHAPE, FLOATS.take(), WORDS.take())?;
    let mut session = Session::new(model, Portable, kv, scratch)?;

    let mut prompt = [0; PROMPT.len()];
    let n = tokenizer.encode(PROMPT, &mut prompt)?;
    let sampler = Sampler::new(SETTINGS)?;
    let mut generation = Generation::new(&mut session, sampler, CONTEXT.take(), WhenFull::Slide(KEEP))?;
    generation.append(&prompt[..n])?;
    let mut decoder = Decoder::after(tokenizer, &prompt[..n]);
    for _ in 0..MAX_TOKENS {
        let Some(drawn) = generation.next_token()? else { break };
        decoder.push(drawn.token, console)?;
    }
    Ok(decoder.finish(console)?)
}

fn main() -> Result<(), Error> {
    let mut console = String::new();
    generate(&mut console)?;
    println!("{PROMPT}{console}");
    Ok(())
}
