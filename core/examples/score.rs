//! Scores a text of any length, window by window and each window layer by layer: with keys and values of one layer, however
//! many there are.
//!
//! usage: `cargo run --example score`

use core::fmt::Write;

use emberlm_core::{
    Config, Convention, CrossEntropy, Error, KvType, Mapped, Model, Need, Order, Portable, Run, Score, Session,
    TokenId, include_blob, run_self_test, score_window,
};
use static_cell::{ConstStaticCell, StaticCell};

static BLOB: &[u8] = include_blob!("letters.blob");

/// The model's shape, as `emberlm inspect` prints it. Another blob's would be an error that says need and have.
const SHAPE: Config = Config { n_vocab: 27, n_ctx: 48, n_embd: 32, n_layer: 1, n_ff: 32, ..Config::GPT2 }.with_heads(2);

/// Windows of as many positions as the model has, of which four go through a layer together: a weight is read once for them.
const RUN: Run = Run { batch: 4, ..Run::new(Order::LayerMajor, KvType::I8, SHAPE.n_ctx as usize) };

/// What that takes.
const NEED: Need = Need::new(&SHAPE, RUN);

/// The text: the model knows letters and spaces.
pub const TEXT: &str = "all the world is a stage and all the men and women merely players they have their exits and their \
                        entrances and one man in his time plays many parts his acts being seven ages";

/// Everything that scoring takes but the stack.
static KV_CACHE: ConstStaticCell<[u32; NEED.kv_words]> = ConstStaticCell::new([0; _]);
static FLOATS: ConstStaticCell<[f32; NEED.scratch.floats]> = ConstStaticCell::new([0.0; _]);
static WORDS: ConstStaticCell<[u32; NEED.scratch.words]> = ConstStaticCell::new([0; _]);
static SINKS: StaticCell<[CrossEntropy; NEED.sinks]> = StaticCell::new();
static TOKENS: ConstStaticCell<[TokenId; TEXT.len()]> = ConstStaticCell::new([0; _]);

/// Scores the text, and says on the console what came out.
pub fn score(console: &mut impl Write) -> Result<Score, Error> {
    let mut model = Model::open(Mapped::new(BLOB)?)?;
    model.verify_sections()?;
    let Some(tokenizer) = model.tokenizer()? else {
        writeln!(console, "the blob has no tokeniser")?;
        return Ok(Score::new());
    };
    let kv = RUN.kv_cache(&SHAPE, KV_CACHE.take())?;
    let scratch = RUN.scratch(&SHAPE, FLOATS.take(), WORDS.take())?;
    let mut session = Session::new(model, Portable, kv, scratch)?;
    let sinks = SINKS.init([CrossEntropy::new(0); _]);
    writeln!(console, "{}", run_self_test(&mut session, sinks)?)?;

    let all = TOKENS.take();
    let n_tokens = tokenizer.encode(TEXT, all)?;
    let mut score = Score::new();
    for window in Convention::Disjoint.windows(n_tokens, RUN.n_ctx) {
        let tokens = &all[window.start..=window.start + window.n_inputs];
        score_window(&mut session, tokens, window.first_scored, sinks, |nll| score.push(nll))?;
    }
    let (loss, bits) = (score.mean().unwrap_or(f64::NAN), score.bits_per_byte(TEXT.len() as u64).unwrap_or(f64::NAN));
    writeln!(console, "{} tokens, {loss:.4} nats a token, {bits:.4} bits a byte", score.n())?;
    writeln!(console, "nll bits {:016x}", score.sum().to_bits())?;
    Ok(score)
}

fn main() -> Result<(), Error> {
    let mut console = String::new();
    score(&mut console)?;
    print!("{console}");
    Ok(())
}
