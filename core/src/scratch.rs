//! The forward pass's working memory, which the caller owns.

use crate::config::{Config, Positions};
use crate::error::{Buffer, BufferTooSmall};
use crate::features::{AFTER_NORMS, GATED_MLP, HEAD_NORMS, PARALLEL_BLOCKS, ROTARY};
use crate::format::MIN_GROUP;
use crate::ops::quantize::i16_words;
use crate::ops::reduce::STRIPES;
use crate::part::split_mut;
use core::ops::Range;

/// How many positions the working memory is for, and how many of a matrix's outputs at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Batch {
    /// Positions that one forward call takes, whose residual streams are kept; at least `batch`.
    pub window: usize,
    /// Positions that go through a layer together, for which a weight is read once; at least 1.
    pub batch: usize,
    /// Rows of a matrix that are multiplied before their outputs are used, at least 1: fewer take less memory, more divide
    /// better among workers.
    pub rows: usize,
}

impl Batch {
    /// Rows that are enough for every kernel on one core to be as fast as it gets.
    pub const ROWS: usize = 144;

    /// `n` positions, through each layer together, by [`Batch::ROWS`] rows.
    pub const fn of(n: usize) -> Self {
        Self { window: n, batch: n, rows: Self::ROWS }
    }

    /// At least one position, a window that holds the batch, and no more rows than a matrix of the model has.
    const fn whole(self, config: &Config) -> Self {
        let batch = larger(self.batch, 1);
        let fc = if GATED_MLP && config.mlp.gated { 2 * config.n_ff as usize } else { config.n_ff as usize };
        let most = larger(larger(config.n_embd as usize, fc), config.n_vocab as usize);
        let rows = larger(if self.rows < most { self.rows } else { most }, 1);
        Self { window: larger(self.window, batch), batch, rows }
    }
}

pub(crate) const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Lengths of the two scratch buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScratchSize {
    /// f32 elements.
    pub floats: usize,
    /// 32-bit words.
    pub words: usize,
}

impl ScratchSize {
    /// What a session over such a model needs, `config` being [valid](Config::validate); `usize::MAX` where that overflows.
    /// Zero positions or rows are taken as one, a window below the batch as the batch, and rows beyond those of all
    /// matrices as theirs.
    pub const fn new(config: &Config, batch: Batch) -> Self {
        let batch = batch.whole(config);
        let (n_embd, width) = (config.n_embd as usize, config.max_width());
        let widths = normed_width(config) + hidden_width(config) + angle_width(config) + aside_width(config);
        let each = widths + batch.rows + 1 + STRIPES;
        let floats = batch.window.saturating_mul(n_embd).saturating_add(batch.batch.saturating_mul(each));
        let floats = floats.saturating_add(head_norm_width(config));
        let words = batch.batch.saturating_mul(i16_words(width) + 2).saturating_add(width.div_ceil(MIN_GROUP));
        Self { floats, words }
    }

    /// Bytes of both buffers.
    pub const fn bytes(&self) -> usize {
        self.floats.saturating_add(self.words).saturating_mul(4)
    }
}

/// Floats of one position's hidden layer, or of its queries and one head of its keys or values, and where heads are
/// normalised of that head once more; where there are norms behind attention and MLP, of what either gives.
const fn hidden_width(config: &Config) -> usize {
    let heads = if HEAD_NORMS && config.norms.heads { 2 } else { 1 };
    let hidden = larger(config.n_ff as usize, config.query_width() + heads * config.head_dim as usize);
    if AFTER_NORMS && config.norms.after { larger(hidden, config.n_embd as usize) } else { hidden }
}

/// Where the scales of queries and keys lie in [`Scratch::beside`], which is for `batch` positions.
pub(crate) const fn head_norms(config: &Config, batch: usize) -> Range<usize> {
    let start = batch * angle_width(config);
    start..start + head_norm_width(config)
}

/// Where what attention gave lies there.
pub(crate) const fn aside(config: &Config, batch: usize) -> Range<usize> {
    let start = head_norms(config, batch).end;
    start..start + batch * aside_width(config)
}

/// Floats of what attention gives one position, where that waits for the MLP.
const fn aside_width(config: &Config) -> usize {
    if PARALLEL_BLOCKS && config.parallel { config.n_embd as usize } else { 0 }
}

/// Floats of the scales of a layer's norms of queries and keys.
const fn head_norm_width(config: &Config) -> usize {
    if HEAD_NORMS && config.norms.heads { 2 * config.head_dim as usize } else { 0 }
}

/// Floats of one position's normalised residual, or of what its heads attend to.
const fn normed_width(config: &Config) -> usize {
    larger(config.n_embd as usize, config.query_width())
}

/// Floats of one position's sines and cosines, of all tables.
const fn angle_width(config: &Config) -> usize {
    match config.positions {
        Positions::Rotary(rotary) if ROTARY => rotary.n_tables() * rotary.dim as usize,
        _ => 0,
    }
}

/// Of a position's sines and cosines in memory: the first position of the batch, and how many there are.
pub(crate) type AnglesOf = [(usize, usize); 2];

/// The scratch buffers, shared out.
#[derive(Debug)]
pub struct Scratch<'b> {
    pub(crate) size: Batch,
    pub(crate) n_embd: usize,
    pub(crate) width: usize,
    /// The residual stream, `[window][n_embd]`.
    pub(crate) residual: &'b mut [f32],
    /// Normalised residuals, `[batch][n_embd]`, then attention's output, `[batch][query_width]`.
    pub(crate) normed: &'b mut [f32],
    /// What few models have, one after another: cosines and sines of the positions under way, `[table][batch][rotary_dim]`;
    /// the layer's scales of queries and keys, `[2][head_dim]`, at [`head_norms`]; what attention gave where that waits for
    /// the MLP, `[batch][n_embd]`, at [`aside`].
    pub(crate) beside: &'b mut [f32],
    /// Whose the cosines and sines are.
    pub(crate) angles_of: AnglesOf,
    /// Queries `[batch][query_width]` and a head of keys or values on its way to the cache, `[batch][head_dim]`, and one that
    /// is normalised; then the MLP's hidden layer, `[batch][n_ff]`. Where there are norms behind attention and MLP, between
    /// these what attention gave, and after them the norm of what the MLP gave, `[batch][n_embd]`.
    pub(crate) hidden: &'b mut [f32],
    /// Outputs of the rows under way, `[range of rows][batch][row]`.
    pub(crate) block: &'b mut [f32],
    /// A product's inputs as integers, `[batch][i16_words]`, which is room for 8-bit ones too, and their scales,
    /// `[batch]`; in attention a query for each worker.
    pub(crate) inputs: &'b mut [u32],
    pub(crate) scales: &'b mut [f32],
    pub(crate) partial: Partial<'b>,
}

/// Sums under way over a row that comes in pieces.
#[derive(Debug)]
pub(crate) struct Partial<'b> {
    /// Of f32 rows, `[batch]`.
    pub stripes: &'b mut [[f32; STRIPES]],
    /// Of integer rows, `[batch]`: low and high words.
    pub sums: &'b mut [[u32; 2]],
    /// The row's integer scales, one a group.
    pub group_scales: &'b mut [u32],
}

impl<'b> Scratch<'b> {
    /// Shares out `floats` and `words`, at least as long as [`ScratchSize::new`] says for the same arguments.
    ///
    /// # Errors
    /// A buffer is too short.
    pub fn new(
        config: &Config,
        batch: Batch,
        floats: &'b mut [f32],
        words: &'b mut [u32],
    ) -> Result<Self, BufferTooSmall> {
        let size = batch.whole(config);
        let (n, need) = (size.batch, ScratchSize::new(config, size));
        BufferTooSmall::check(Buffer::ScratchFloats, need.floats, floats.len())?;
        BufferTooSmall::check(Buffer::ScratchWords, need.words, words.len())?;
        let (n_embd, width) = (config.n_embd as usize, config.max_width());
        let (residual, rest) = split_mut(floats, size.window * n_embd);
        let (normed, rest) = split_mut(rest, n * normed_width(config));
        let (hidden, rest) = split_mut(rest, n * hidden_width(config));
        let (beside, rest) = split_mut(rest, aside(config, n).end);
        let (block, rest) = split_mut(rest, n * size.rows);
        let (scales, rest) = split_mut(rest, n);
        let (stripes, _) = rest.as_chunks_mut();
        let (sums, rest) = split_mut(words, 2 * n);
        let (group_scales, inputs) = split_mut(rest, width.div_ceil(MIN_GROUP));
        let partial = Partial { stripes, sums: sums.as_chunks_mut().0, group_scales };
        let angles_of = [(0, 0); 2];
        Ok(Self { size, n_embd, width, residual, normed, beside, angles_of, hidden, block, inputs, scales, partial })
    }

    /// Whether the memory was shared out for models of this shape.
    pub(crate) const fn fits(&self, config: &Config) -> bool {
        self.n_embd == config.n_embd as usize
            && self.width == config.max_width()
            && self.normed.len() == self.size.batch * normed_width(config)
            && self.hidden.len() == self.size.batch * hidden_width(config)
            && self.beside.len() == aside(config, self.size.batch).end
    }

    /// Positions that one forward call takes.
    pub const fn window(&self) -> usize {
        self.size.window
    }

    /// Positions that go through a layer, or the head, together.
    pub const fn batch(&self) -> usize {
        self.size.batch
    }
}
