//! The model of core's examples: which letter follows which in the bundled play, written as a GPT-2.
//!
//! Embeddings are one-hot and the block adds nothing, so that the head's columns are the logarithms of a letter's
//! followers. It is small enough to lie in core's package, and writes what can almost be pronounced.

use emberlm::text::tokenizer::SectionParts;
use emberlm_core::format::Format;

use crate::aligned::AlignedBytes;
use crate::oracle::{Activation, Block, Choices, Linear, Matrix, Model, Norm};
use crate::{blobs, fixtures};

/// The blob, from the repository's root.
pub const PATH: &str = "core/examples/letters.blob";

/// What the play is reduced to: everything else separates words.
const LETTERS: &str = " abcdefghijklmnopqrstuvwxyz";

const N_CTX: usize = 48;
const N_EMBD: usize = 32;
const EPSILON: f64 = 1e-5;

/// What `emberlm convert` makes of the checkpoint, in q8 and without calibration.
pub fn blob() -> AlignedBytes {
    blobs::of_model(&model(), Format::Q8, Some(SectionParts::Chars(LETTERS.chars().collect())))
}

fn model() -> Model {
    let n_vocab = LETTERS.len();
    let zeros = |rows: usize| Linear { weight: vec![vec![0.0; N_EMBD]; rows], bias: None };
    let ones = || Some(vec![1.0; N_EMBD]);
    let norm = || Norm { weight: ones(), bias: None };
    let one_hot = |hot: usize| (0..N_EMBD).map(|i| f64::from(u8::from(i == hot))).collect();
    // The final norm of a one-hot row is `high` at one place and `-low` at all others, which its shift takes to 0.
    let mean = 1.0 / N_EMBD as f64;
    let deviation = (mean * (1.0 - mean) + EPSILON).sqrt();
    let (high, low) = ((1.0 - mean) / deviation, mean / deviation);
    let mut head = vec![vec![0.0; N_EMBD]; n_vocab];
    for (letter, followers) in log_probabilities(n_vocab).into_iter().enumerate() {
        for (row, log) in head.iter_mut().zip(followers) {
            row[letter] = log / (high + low);
        }
    }
    Model {
        n_ctx: N_CTX,
        n_head: 2,
        epsilon: EPSILON,
        activation: Activation::GeluTanh,
        wte: (0..n_vocab).map(one_hot).collect(),
        wpe: vec![vec![0.0; N_EMBD]; N_CTX],
        blocks: vec![Block {
            ln_1: norm(),
            c_attn: zeros(3 * N_EMBD),
            attn_proj: zeros(N_EMBD),
            ln_2: norm(),
            c_fc: zeros(N_EMBD),
            mlp_proj: zeros(N_EMBD),
        }],
        ln_f: Norm { weight: ones(), bias: Some(vec![low; N_EMBD]) },
        lm_head: Some(head),
        lm_head_bias: None,
        choices: Choices::GPT2,
    }
}

/// By letter, the logarithm of each letter's probability to follow it, one more than counted.
fn log_probabilities(n_vocab: usize) -> Matrix {
    let play = fixtures::as_you_like_it().to_lowercase();
    let words = play.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty());
    let text: String = words.flat_map(|word| [word, " "]).collect();
    let ids: Vec<usize> = text.chars().filter_map(|c| LETTERS.find(c)).collect();
    let mut counts = vec![vec![1.0_f64; n_vocab]; n_vocab];
    for pair in ids.windows(2) {
        counts[pair[0]][pair[1]] += 1.0;
    }
    for followers in &mut counts {
        let sum: f64 = followers.iter().sum();
        // libm's logarithm is the same on every machine.
        followers.iter_mut().for_each(|count| *count = libm::log(*count / sum));
    }
    counts
}
