//! Blobs out: a checkpoint's matrices rounded, laid out and written, with a self-test computed on the result.
//!
//! A matrix of integers is rounded `row` by row (`round`, on a `grid` of steps, then `descent`), by the moments of what it
//! is multiplied by on a text ([`calibrate`], with `linalg`); [`mod@quantize`] does it, [`quantized`] holds what that comes
//! to, `pack` lays rows out, and [`writer`] writes the blob, of which [`unpack`] reads weights back. Which formats: [`finder`],
//! by [`formats`] that the user names or a [`budget`].

pub mod auto;
pub mod budget;
pub mod calibrate;
pub mod change;
mod descent;
pub mod finder;
pub mod formats;
mod grid;
mod linalg;
mod pack;
pub mod quantize;
pub mod quantized;
pub mod room;
mod round;
mod row;
mod spelling;
pub mod trial;
pub mod unpack;
pub mod writer;

pub use pack::RoundingError;

use crate::checkpoint::Checkpoint;
use crate::engine::kernel::HostKernel;
use crate::engine::{BlobFault, BlobFile, Memory, run};
use crate::ground::files::output::{Output, OutputError};
use crate::ground::memory::MemoryError;
use crate::text::tokenizer::{SectionParts, section};
use calibrate::Windows;
use emberlm_core::blob::{KnownNll, LongSelfTest, SelfTest, Slot, TextTokens};
use emberlm_core::config::{Activations, Config, TokenId};
use emberlm_core::kv_cache::KvType;
use emberlm_core::loss::{CrossEntropy, Score};
use emberlm_core::planner::Order;
use emberlm_core::score::{ScoreError, score_window};
use formats::Formats;
use quantize::quantize;
use quantized::{QuantizeError, QuantizedModel};
use std::io;
use std::path::Path;
use writer::{Writer, WrittenTensor};

/// Tokens of a self-test, the final target included.
const SELF_TEST_TOKENS: u32 = 9;

/// What a blob is to hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// How each tensor is stored.
    pub formats: Formats,
    /// What integers are rounded by; without, each weight goes to the nearest.
    pub windows: Option<Windows>,
    /// What goes with the weights.
    pub beside: Beside,
}

/// What a blob has beside its weights.
#[derive(Clone, Debug)]
pub struct Beside {
    /// What matrix products round their inputs to.
    pub activations: Activations,
    /// The tokens that begin and end a text.
    pub text: TextTokens,
    /// The tokeniser, where the blob is to have one.
    pub tokenizer: Option<SectionParts>,
    /// Whether the blob is to know the summed nll of a window that goes past every ring of its KV cache.
    pub long_self_test: bool,
}

impl Beside {
    /// Neither a tokeniser nor tokens that begin or end a text, and no long self-test.
    pub const fn nothing(activations: Activations) -> Self {
        Self { activations, text: TextTokens::NONE, tokenizer: None, long_self_test: false }
    }
}

/// A blob that was written.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// Its length in bytes.
    pub blob_bytes: u64,
    /// Its tensors, in the order of the table.
    pub tensors: Vec<WrittenTensor>,
    /// Length of the tokeniser section.
    pub tokenizer_bytes: u64,
    /// The tokens whose summed nll the blob knows, and the sums.
    pub self_test: SelfTest,
    /// A longer one, of no tokens where none was asked for.
    pub long_self_test: LongSelfTest,
}

impl Conversion {
    /// Stored bits a weight over all matrices and embeddings, scales and padding included.
    pub fn bits_per_weight(&self) -> f64 {
        let matrices = self.tensors.iter().filter(|tensor| tensor.slot.is_matrix());
        let (bytes, weights) = matrices.fold((0, 0), |(bytes, weights), tensor| {
            (bytes + tensor.bytes, weights + u64::from(tensor.shape.0) * u64::from(tensor.shape.1))
        });
        8.0 * bytes as f64 / weights as f64
    }
}

/// Why no blob was written.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The weights cannot be rounded.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The self-test needs more memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The file may not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The file cannot be written.
    #[error("cannot write the blob: {0}")]
    Io(#[from] io::Error),
    /// The blob as written does not open.
    #[error("the blob does not open: {0}")]
    Blob(#[from] BlobFault),
    /// The model as written has no loss on the self-test's tokens.
    #[error("the model gives no loss: {0}")]
    SelfTest(ScoreError),
}

/// Converts `checkpoint` to a blob that goes to `output`, telling `done` of each matrix that is rounded.
///
/// # Errors
/// See [`ConvertError`]; nothing is left at the output's path then but what was there before.
pub fn convert(
    checkpoint: &Checkpoint,
    options: &Options,
    output: Output,
    done: impl FnMut(Slot),
) -> Result<Conversion, ConvertError> {
    let model = quantize(checkpoint, &options.formats, options.windows.as_ref(), done)?;
    write(&model, &options.beside, output)
}

/// Writes `model` to a blob that goes to `output`.
///
/// # Errors
/// As [`convert`].
pub fn write(model: &QuantizedModel<'_>, beside: &Beside, mut output: Output) -> Result<Conversion, ConvertError> {
    let tokenizer = beside.tokenizer.as_ref().map(section::encode).unwrap_or_default();
    let config = model.checkpoint().config();
    let mut self_test = self_test(config);
    let mut long = if beside.long_self_test { long_self_test(config) } else { LongSelfTest::NONE };
    let temporary = output.temporary_path().to_owned();
    let choices = (beside.activations, beside.text);
    let mut writer = Writer::new(output.file(), model, tokenizer.len(), choices, (self_test.clone(), long));
    let tensors = writer.write(model, &tokenizer)?;
    for known in &mut self_test.known {
        known.nll_bits = nll_bits(&temporary, known.kv_type, &self_test.tokens)?;
    }
    if long.n_tokens > 0 {
        let tokens: Vec<TokenId> = LongSelfTest::tokens(config.n_vocab).take(long.n_tokens as usize).collect();
        for (bits, kv_type) in long.nll_bits.iter_mut().zip(KvType::ALL) {
            *bits = nll_bits(&temporary, kv_type, &tokens)?;
        }
    }
    writer.record_self_tests(&self_test.known, long)?;
    let blob_bytes = writer.blob_bytes();
    output.finish()?;
    Ok(Conversion { blob_bytes, tensors, tokenizer_bytes: tokenizer.len() as u64, self_test, long_self_test: long })
}

/// Length of the blob of `checkpoint` in `formats` with a tokeniser section of so many bytes.
pub fn blob_bytes(checkpoint: &Checkpoint, formats: Formats, tokenizer_bytes: usize) -> u64 {
    let model = QuantizedModel::unrounded(checkpoint, formats);
    let self_tests = (self_test(checkpoint.config()), LongSelfTest::NONE);
    let choices = (Activations::I16, TextTokens::NONE);
    Writer::new(io::Cursor::new(Vec::new()), &model, tokenizer_bytes, choices, self_tests).blob_bytes()
}

/// Tokens spread over the vocabulary, with sums still unknown.
fn self_test(config: &Config) -> SelfTest {
    /// A prime far from small powers of two.
    const STEP: u64 = 1_000_003;
    let n = SELF_TEST_TOKENS.min(config.n_ctx + 1);
    let token = |i: u32| (u64::from(i) * STEP % u64::from(config.n_vocab)) as TokenId;
    let known = KvType::ALL.into_iter().map(|kv_type| KnownNll { kv_type, nll_bits: 0 }).collect();
    SelfTest { tokens: (1..=n).map(token).collect(), known }
}

/// A window that goes round every ring of a KV cache, for batches of 32 and less, and once more: all positions of a model
/// that has none. With sums still unknown.
const fn long_self_test(config: &Config) -> LongSelfTest {
    let round = config.windows.len.saturating_add(32 + 61).saturating_mul(2);
    let n_inputs = if config.windows.len != 0 && round < config.n_ctx { round } else { config.n_ctx };
    LongSelfTest { n_tokens: n_inputs + 1, nll_bits: [0; 3] }
}

/// The bits of the summed nll of `tokens`, by the blob at `path`.
fn nll_bits(path: &Path, kv_type: KvType, tokens: &[TokenId]) -> Result<u64, ConvertError> {
    let blob = BlobFile::open(path)?;
    let model = blob.model()?;
    let mut memory = Memory::new(model.config(), run(Order::LayerMajor, kv_type, tokens.len(), tokens.len()))?;
    let mut session = memory.session(model, HostKernel::detect());
    let mut sinks = vec![CrossEntropy::new(0); tokens.len()];
    let mut score = Score::new();
    score_window(&mut session, tokens, 0, &mut sinks, |nll| score.push(nll)).map_err(ConvertError::SelfTest)?;
    Ok(score.sum().to_bits())
}
