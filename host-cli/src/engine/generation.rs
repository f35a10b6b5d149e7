//! A blob, a prompt and the text that follows: core's generation with the host's memory.

use std::time::{Duration, Instant};

use emberlm_core::config::TokenId;
use emberlm_core::generate::{GenerateError, Generation, WhenFull};
use emberlm_core::kv_cache::KvType;
use emberlm_core::planner::Order;
use emberlm_core::sample::{Sampler, Settings, SettingsError};
use serde::Serialize;

use super::blob::{Blob, BlobError, BlobFault};
use super::kernel::HostKernel;
use super::memory::{BATCH, Memory, run};
use super::team::HostTeam;
use super::workers;
use crate::ground::memory::{self, MemoryError};
use crate::ground::signals;
use crate::text::input::{InputError, check_ids};
use crate::text::stream::TextStream;
use crate::text::tokenizer::{Tokenizer, TokenizerError};

/// GPT-2's token for the end of a text, at which generation ends on every board too.
pub const END_OF_TEXT: &[u8] = b"<|endoftext|>";

/// What errors call the text to go on with.
const PROMPT: &str = "the prompt";

/// What follows a prompt, and how it is chosen.
#[derive(Clone, Debug)]
pub struct Request {
    /// How tokens are chosen.
    pub settings: Settings,
    /// The most tokens.
    pub max_tokens: usize,
    /// The text ends before the first of these.
    pub stops: Vec<String>,
    /// What happens when the context is full.
    pub when_full: WhenFull,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// It has as many tokens as were asked for.
    MaxTokens,
    /// A stop string came.
    Stop,
    /// A token for the end of a text came.
    EndOfText,
    /// The context is full.
    ContextFull,
    /// Ctrl-C was pressed.
    Interrupted,
}

impl Stopped {
    /// What reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::Stop => "stop",
            Self::EndOfText => "end_of_text",
            Self::ContextFull => "context_full",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A text that followed a prompt.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// What was drawn; a stop string or the end of text at its end included.
    pub tokens: Vec<TokenId>,
    /// The negative log-likelihood of each token in nats, by the model alone.
    pub nlls: Vec<f32>,
    /// The text, without a stop string.
    pub text: String,
    /// Why it ended.
    pub stopped: Stopped,
    /// The time that the prompt and the first token took.
    pub first: Duration,
    /// The time that the other tokens took.
    pub rest: Duration,
}

/// Why no text follows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The prompt cannot be represented.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The prompt is not of the model.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A setting is out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The blob is refused.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The context takes more memory than there is.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No token follows.
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

/// A model, its tokenizer and memory for a text.
pub struct Writer<'m> {
    blob: &'m Blob,
    tokenizer: &'m Tokenizer,
    kv_type: KvType,
    n_ctx: usize,
    /// For as many positions as texts took so far, the least number that is a power of two.
    memory: Option<(usize, Memory)>,
    context: Vec<TokenId>,
    /// The token that texts begin with, where it is put before them.
    bos: Option<TokenId>,
    /// The tokens that end a text.
    ends: Vec<TokenId>,
}

impl<'m> Writer<'m> {
    /// For texts in a context of `n_ctx`, that `bos` is put before, each of which ends at `<|endoftext|>`, at the blob's end
    /// tokens, and at those of `ends`. Memory is taken as texts need it.
    ///
    /// # Errors
    /// None, after [`Blob::open`].
    pub fn new(
        blob: &'m Blob,
        tokenizer: &'m Tokenizer,
        (bos, ends): (Option<TokenId>, &[TokenId]),
        kv_type: KvType,
        n_ctx: usize,
    ) -> Result<Self, BlobError> {
        let mut model = blob.model()?;
        let n_vocab = model.config().n_vocab;
        let of_blob = model.text_tokens().map_err(|error| blob.fault(BlobFault::Open(error.into())))?.ends;
        let of_blob = of_blob.into_iter().filter(|&end| end < n_vocab);
        let end_of_text = (0..n_vocab).rev().find(|&id| tokenizer.token_bytes(id).as_deref() == Some(END_OF_TEXT));
        let ends = end_of_text.into_iter().chain(of_blob).chain(ends.iter().copied()).collect();
        Ok(Self { blob, tokenizer, kv_type, n_ctx, memory: None, context: Vec::new(), bos, ends })
    }

    /// Takes memory for `positions`, no more than the context, where there is less.
    fn take_memory(&mut self, positions: usize) -> Result<(), WriteError> {
        const ADVICE: &str = "; a shorter context takes less: --n-ctx N";
        if self.memory.as_ref().is_none_or(|&(have, _)| have < positions) {
            self.memory = None;
            let n = positions.next_power_of_two().min(self.n_ctx);
            let config = *self.blob.model()?.config();
            let taken = Memory::new(&config, run(Order::TokenMajor, self.kv_type, n, BATCH));
            self.memory = Some((n, taken.map_err(|error| error.or(ADVICE))?));
            self.context = memory::zeroed("the context's tokens", n).map_err(|error| error.or(ADVICE))?;
        }
        Ok(())
    }

    /// The prompt's tokens, what chooses the next ones, and what happens when the context is full, with memory for all.
    fn prepare(&mut self, prompt: &str, request: &Request) -> Result<(Vec<TokenId>, Sampler, WhenFull), WriteError> {
        let tokens = self.tokenizer.encode(prompt).map_err(|error| error.in_text(PROMPT))?;
        check_ids(PROMPT, &tokens, Some(self.tokenizer), self.blob.model()?.config().n_vocab)?;
        let tokens: Vec<TokenId> = self.bos.into_iter().chain(tokens).collect();
        let sampler = Sampler::new(request.settings)?;
        if tokens.is_empty() {
            return Err(GenerateError::NoPrompt.into());
        }
        let n_ctx = self.n_ctx;
        let all = tokens.len().saturating_add(request.max_tokens);
        let when_full = match request.when_full {
            WhenFull::Slide(keep) if !(1..n_ctx).contains(&keep) => {
                return Err(GenerateError::Keep { keep, n_ctx }.into());
            }
            // A text that fits never slides, and its memory need not be that of a whole context.
            WhenFull::Slide(_) if all <= n_ctx => WhenFull::Stop,
            when_full => when_full,
        };
        self.take_memory(all.min(n_ctx))?;
        Ok((tokens, sampler, when_full))
    }

    /// Writes what follows `prompt`, from a fresh context; `out` hears each piece of text as soon as it is certain.
    ///
    /// # Errors
    /// The prompt cannot be represented or does not fit, a setting is out of its range, the model fails, or `out` does.
    pub fn write<E: From<WriteError>>(
        &mut self,
        prompt: &str,
        request: &Request,
        mut out: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Generated, E> {
        let (tokens, sampler, when_full) = self.prepare(prompt, request)?;
        let n_ctx = self.n_ctx;
        let (_, memory) = self.memory.as_mut().expect("memory was just taken");
        let session = memory.session(self.blob.model().map_err(WriteError::from)?, HostKernel::detect());
        let mut session = session.with_team(HostTeam::new(workers::available()));
        let generation = Generation::new(&mut session, sampler, &mut self.context, when_full);
        let mut generation = generation.map_err(WriteError::from)?;
        generation.append(&tokens).map_err(|error| match error {
            GenerateError::PromptTooLong { need, .. } => GenerateError::PromptTooLong { need, have: n_ctx }.into(),
            other => WriteError::from(other),
        })?;
        let mut stream = TextStream::new(&request.stops);
        let mut spelling = self.tokenizer.spelling(&tokens);
        let mut made = Generated {
            prompt_tokens: tokens.len(),
            tokens: Vec::new(),
            nlls: Vec::new(),
            text: String::new(),
            stopped: Stopped::MaxTokens,
            first: Duration::ZERO,
            rest: Duration::ZERO,
        };
        let start = Instant::now();
        while made.tokens.len() < request.max_tokens {
            if signals::take() {
                made.stopped = Stopped::Interrupted;
                break;
            }
            let Some(drawn) = generation.next_token().map_err(WriteError::from)? else {
                made.stopped = Stopped::ContextFull;
                break;
            };
            if made.tokens.is_empty() {
                made.first = start.elapsed();
            }
            made.tokens.push(drawn.token);
            made.nlls.push(drawn.nll);
            if self.ends.contains(&drawn.token) {
                made.stopped = Stopped::EndOfText;
                break;
            }
            made.tell(&stream.push(&spelling.push(drawn.token)), &mut out)?;
            if stream.is_stopped() {
                made.stopped = Stopped::Stop;
                break;
            }
        }
        made.rest = start.elapsed().saturating_sub(made.first);
        made.tell(&stream.push(&spelling.finish()), &mut out)?;
        made.tell(&stream.finish(), &mut out)?;
        Ok(made)
    }
}

impl Generated {
    /// The mean surprisal of the tokens in bits, `None` where there are none.
    pub fn bits_per_token(&self) -> Option<f64> {
        let sum: f64 = self.nlls.iter().copied().map(f64::from).sum();
        (!self.nlls.is_empty()).then(|| sum / self.nlls.len() as f64 / std::f64::consts::LN_2)
    }

    fn tell<E>(&mut self, text: &str, out: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        self.text.push_str(text);
        if text.is_empty() { Ok(()) } else { out(text) }
    }
}
