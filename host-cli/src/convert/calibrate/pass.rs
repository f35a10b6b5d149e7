//! One pass of a text through a model and, beside it, through what has been rounded of it so far.
//!
//! Matrix by matrix, in the order in which a token meets them: the weights move to where the rounded model's inputs give
//! the outputs that the checkpoint's weights give on the checkpoint's inputs (as in GPTAQ, Li et al., 2025). Those that
//! write to the residual stream also repair what was lost of it before. Then they are rounded by the moments of the
//! rounded model's inputs.

use std::borrow::Cow;
use std::ops::Range;

use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Config, TokenId};
use emberlm_core::format::Packing;
use rayon::prelude::*;

use super::Windows;
use crate::checkpoint::{Checkpoint, Orientation, StoredMatrix};
use crate::convert::formats::Formats;
use crate::convert::linalg::{add_cross_moments, second_moments};
use crate::convert::pack::stored_float;
use crate::convert::quantized::{QuantizeError, Quantized};
use crate::convert::round::{Metric, Moments, RoundedRow, in_shares};
use crate::ground::memory;
use crate::reference::Reference;
use crate::reference::gemm::{View, add_product};
use crate::reference::ops::{self, Linear, Norm};

/// Rounds every matrix whose format is one of integers, and tells `done` of each.
///
/// # Errors
/// The text's activations are not finite.
pub fn round_in_order(
    checkpoint: &Checkpoint,
    formats: &Formats,
    windows: &Windows,
    out: &mut Quantized,
    done: impl FnMut(Slot),
) -> Result<(), QuantizeError> {
    let reference = Reference::new(checkpoint);
    Pass::new(checkpoint, formats, windows, out, done).run(&reference, windows)
}

/// The positions of all windows, one after another, on their two ways.
struct Pass<'p, F> {
    checkpoint: &'p Checkpoint,
    formats: &'p Formats,
    config: Config,
    /// The positions of each window.
    spans: Vec<Range<usize>>,
    out: &'p mut Quantized,
    done: F,
}

/// The same activations in the checkpoint's model and in the rounded one, `[t, n]` each.
struct Pair<T> {
    exact: Vec<T>,
    rounded: Vec<T>,
}

impl<T: Send> Pair<T> {
    fn map<U>(&self, of: impl Fn(&[T]) -> Vec<U>) -> Pair<U> {
        Pair { exact: of(&self.exact), rounded: of(&self.rounded) }
    }
}

impl Pair<f64> {
    fn add(&mut self, other: &Pair<f32>) {
        ops::add(&mut self.exact, &other.exact);
        ops::add(&mut self.rounded, &other.rounded);
    }

    /// What the rounded model lacks.
    fn missing(&self) -> Vec<f32> {
        self.exact.iter().zip(&self.rounded).map(|(exact, rounded)| (exact - rounded) as f32).collect()
    }
}

impl<'p, F: FnMut(Slot)> Pass<'p, F> {
    fn new(
        checkpoint: &'p Checkpoint,
        formats: &'p Formats,
        windows: &Windows,
        out: &'p mut Quantized,
        done: F,
    ) -> Self {
        let mut at = 0;
        let spans = windows.iter().map(|window| {
            at += window.len();
            at - window.len()..at
        });
        Self { checkpoint, formats, config: *checkpoint.config(), spans: spans.collect(), out, done }
    }

    fn run(&mut self, reference: &Reference<'_>, windows: &Windows) -> Result<(), QuantizeError> {
        let advice = "; --calibrate none takes none of it";
        memory::check("calibration", self.bytes(windows)).map_err(|error| error.or(advice))?;
        if self.checkpoint.is_tied() {
            self.round_tied_head(reference, windows)?;
        } else {
            self.round_to_nearest(Slot::Wte);
        }
        if self.checkpoint.has(Slot::Wpe) {
            self.round_to_nearest(Slot::Wpe);
        }
        let mut x = Pair {
            exact: embed(windows, |token, position, x| x.extend(reference.embedding(token, position))),
            rounded: self.embed_rounded(windows),
        };
        for layer in 0..self.config.n_layer {
            self.round_block(layer, reference, &mut x)?;
        }
        if let Some(head) = reference.untied_head() {
            self.round_layer(Slot::LmHead, Some(Slot::LmHeadBias), head, &normed(&reference.ln_f, &x), None)?;
        }
        Ok(())
    }

    /// Bytes that a pass takes, about: the text's activations on both ways into and out of the widest matrices, and the
    /// moments of the widest inputs, three times.
    fn bytes(&self, windows: &Windows) -> u64 {
        let (n_embd, width) = (u64::from(self.config.n_embd), self.config.max_width() as u64);
        let outputs =
            [LayerSlot::AttnQkvWeight, LayerSlot::FcWeight].map(|slot| Slot::Layer(0, slot).shape(&self.config).0);
        let activations = 2 * (8 * n_embd + 4 * 2 * width.max(outputs.into_iter().max().map_or(0, u64::from)));
        (windows.n_tokens() as u64).saturating_mul(activations).saturating_add(3 * 8 * width * width)
    }

    fn round_block(&mut self, layer: u32, reference: &Reference<'_>, x: &mut Pair<f64>) -> Result<(), QuantizeError> {
        let block = &reference.blocks[layer as usize];
        let at = |slot: LayerSlot| Slot::Layer(layer, slot);

        let (weight, bias) = (at(LayerSlot::AttnQkvWeight), at(LayerSlot::AttnQkvBias));
        let inputs = normed(&block.ln_1, x);
        let rounded = self.round_layer(weight, Some(bias), &block.qkv, &inputs, None)?;
        let qkv = outputs(&block.qkv, &rounded, &inputs);
        let spans = &self.spans;
        let inputs = qkv.map(|qkv| {
            let row = qkv.len() / spans.last().map_or(1, |span| span.end);
            let window = |span: &Range<usize>| reference.attend(layer, qkv[row * span.start..row * span.end].to_vec());
            spans.par_iter().map(window).collect::<Vec<_>>().concat()
        });
        let (weight, bias) = (at(LayerSlot::AttnProjWeight), at(LayerSlot::AttnProjBias));
        let rounded = self.round_layer(weight, Some(bias), &block.attn_proj, &inputs, Some(&x.missing()))?;
        x.add(&outputs(&block.attn_proj, &rounded, &inputs));

        let (weight, bias) = (at(LayerSlot::FcWeight), at(LayerSlot::FcBias));
        let inputs = normed(&block.ln_2, x);
        let rounded = self.round_layer(weight, Some(bias), &block.fc, &inputs, None)?;
        let Pair { exact, rounded } = outputs(&block.fc, &rounded, &inputs);
        let inputs = Pair { exact: reference.activate(exact), rounded: reference.activate(rounded) };
        let (weight, bias) = (at(LayerSlot::MlpProjWeight), at(LayerSlot::MlpProjBias));
        let rounded = self.round_layer(weight, Some(bias), &block.mlp_proj, &inputs, Some(&x.missing()))?;
        x.add(&outputs(&block.mlp_proj, &rounded, &inputs));
        Ok(())
    }

    /// Rounds one layer given its inputs, `[t, n_in]`, and what the residual stream that it adds to lacks, `[t, n_out]`.
    /// Returns the layer that the rounded weights make.
    fn round_layer(
        &mut self,
        weight: Slot,
        bias: Option<Slot>,
        layer: &Linear<'_>,
        inputs: &Pair<f32>,
        missing: Option<&[f32]>,
    ) -> Result<Linear<'static>, QuantizeError> {
        let (n_out, n_in) = weight.shape(&self.config);
        let (n_out, n_in) = (n_out as usize, n_in as usize);
        let bias = bias.filter(|&slot| self.checkpoint.has(slot));
        let Some(packing) = self.formats.get(weight).packing() else {
            (self.done)(weight);
            return Ok(self.floats(weight, bias));
        };
        let tensor = self.checkpoint.tensor(weight).expect("a layer has weights");
        let biases = layer.bias().filter(|_| bias.is_some());
        let metric = self.metric(weight, &inputs.rounded, n_in, bias.is_some())?;
        let correction = Correction::new(inputs, n_in, missing, n_out);
        let rows = in_shares(n_out, |range| {
            let mut rows = to_f64(&tensor.data[range.start * n_in..range.end * n_in]);
            let mut biases = biases.map(|biases| to_f64(&biases[range.clone()]));
            let (cross, cross_bias) = correction.of_rows(&rows, range);
            metric.correct(&mut rows, biases.as_deref_mut(), &cross, &cross_bias);
            metric.round(packing, &rows, biases.as_deref())
        });
        let rounded = stored_layer(&rows, packing, n_in);
        self.out.put_matrix(weight, self.formats.get(weight), packing, &rows, &tensor.data);
        if let (Some(slot), Some(old), Some(new)) = (bias, biases, rounded.bias()) {
            self.out.put_vector(slot, self.formats.get(slot), new, old);
        }
        (self.done)(weight);
        Ok(rounded)
    }

    /// Rounds the token embedding as the head that it is, by the checkpoint's own inputs to it.
    fn round_tied_head(&mut self, reference: &Reference<'_>, windows: &Windows) -> Result<(), QuantizeError> {
        let format = self.formats.get(Slot::Wte);
        let Some(packing) = format.packing() else {
            (self.done)(Slot::Wte);
            return Ok(());
        };
        let windows: Vec<&[TokenId]> = windows.iter().collect();
        let hidden = windows.par_iter().map(|window| reference.hidden(window).expect("windows fit the model"));
        let hidden: Vec<f32> = hidden.collect::<Vec<_>>().concat();
        let n_embd = self.config.n_embd as usize;
        let metric = self.metric(Slot::Wte, &hidden, n_embd, false)?;
        let tensor = self.checkpoint.tensor(Slot::Wte).expect("a model has embeddings");
        let rows = in_shares(tensor.rows, |range| {
            metric.round(packing, &to_f64(&tensor.data[range.start * n_embd..range.end * n_embd]), None)
        });
        self.out.put_matrix(Slot::Wte, format, packing, &rows, &tensor.data);
        (self.done)(Slot::Wte);
        Ok(())
    }

    fn round_to_nearest(&mut self, slot: Slot) {
        self.out.round_to_nearest(self.checkpoint, slot, self.formats.get(slot));
        (self.done)(slot);
    }

    fn metric(&self, slot: Slot, inputs: &[f32], n_in: usize, bias: bool) -> Result<Metric, QuantizeError> {
        let squares = second_moments(inputs, n_in);
        let (sums, count) = (bias.then(|| column_sums(inputs, n_in)), (inputs.len() / n_in) as f64);
        Metric::new(Moments { n_in, squares, sums, count }).ok_or(QuantizeError::NotFinite { slot })
    }

    /// A layer whose weights are stored as floats.
    fn floats(&self, weight: Slot, bias: Option<Slot>) -> Linear<'static> {
        let tensor = self.checkpoint.tensor(weight).expect("a layer has weights");
        let format = self.formats.get(weight);
        let data = tensor.data.iter().map(|&weight| stored_float(weight, format)).collect();
        let bias = bias.and_then(|slot| self.checkpoint.tensor(slot)).map(|tensor| tensor.data.into_owned());
        let weight = StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(data) };
        Linear::new(tensor.rows, tensor.cols, weight, bias)
    }

    /// The first block's inputs by the embeddings as they are stored.
    fn embed_rounded(&self, windows: &Windows) -> Vec<f64> {
        let row = |slot: Slot, index: usize, x: &mut [f64]| {
            let row = self.out.row(self.checkpoint, self.formats, slot, index);
            x.iter_mut().zip(row).for_each(|(x, weight)| *x += weight);
        };
        embed(windows, |token, position, x| {
            let start = x.len();
            x.resize(start + self.config.n_embd as usize, 0.0);
            row(Slot::Wte, token as usize, &mut x[start..]);
            let scale = f64::from(self.config.embedding_scale);
            x[start..].iter_mut().for_each(|x| *x *= scale);
            if self.checkpoint.has(Slot::Wpe) {
                row(Slot::Wpe, position, &mut x[start..]);
            }
        })
    }
}

/// What outputs lack, times inputs.
struct Correction {
    n_in: usize,
    /// `[n_in, n_in]`: what the layer's inputs lack, times the inputs.
    of_inputs: Vec<f64>,
    /// `[n_in]`: what they lack in all.
    sums: Vec<f64>,
    /// `[n_out, n_in]` and `[n_out]`: the same for the residual stream.
    of_stream: Option<(Vec<f64>, Vec<f64>)>,
}

impl Correction {
    fn new(inputs: &Pair<f32>, n_in: usize, missing: Option<&[f32]>, n_out: usize) -> Self {
        let lacking: Vec<f32> =
            inputs.exact.iter().zip(&inputs.rounded).map(|(exact, rounded)| exact - rounded).collect();
        let mut of_inputs = vec![0.0; n_in * n_in];
        add_cross_moments(&mut of_inputs, &lacking, n_in, &inputs.rounded, n_in);
        let of_stream = missing.map(|missing| {
            let mut cross = vec![0.0; n_out * n_in];
            add_cross_moments(&mut cross, missing, n_out, &inputs.rounded, n_in);
            (cross, column_sums(missing, n_out))
        });
        Self { n_in, of_inputs, sums: column_sums(&lacking, n_in), of_stream }
    }

    /// For rows `range`, whose weights are `rows`: what their outputs lack times the inputs, and times 1.
    fn of_rows(&self, rows: &[f64], range: Range<usize>) -> (Vec<f64>, Vec<f64>) {
        let n = self.n_in;
        let (mut cross, mut sums) = match &self.of_stream {
            Some((cross, sums)) => (cross[range.start * n..range.end * n].to_vec(), sums[range].to_vec()),
            None => (vec![0.0; rows.len()], vec![0.0; range.len()]),
        };
        let left = View::dense(rows, rows.len() / n, n);
        add_product(&mut cross, left, View::dense(&self.of_inputs, n, n));
        add_product(&mut sums, left, View::dense(&self.sums, n, 1));
        (cross, sums)
    }
}

fn embed(windows: &Windows, mut append: impl FnMut(TokenId, usize, &mut Vec<f64>)) -> Vec<f64> {
    let mut x = Vec::new();
    for window in windows.iter() {
        window.iter().enumerate().for_each(|(position, &token)| append(token, position, &mut x));
    }
    x
}

fn normed(norm: &Norm, x: &Pair<f64>) -> Pair<f32> {
    x.map(|x| norm.apply(x))
}

fn outputs(exact: &Linear<'_>, rounded: &Linear<'_>, inputs: &Pair<f32>) -> Pair<f32> {
    Pair { exact: exact.apply(&inputs.exact), rounded: rounded.apply(&inputs.rounded) }
}

/// The layer that rounded rows stand for.
fn stored_layer(rows: &[RoundedRow], packing: Packing, n_in: usize) -> Linear<'static> {
    let data = rows.iter().flat_map(|row| row.weights(packing.group)).collect();
    let bias: Option<Vec<f32>> = rows.iter().map(|row| row.bias.map(|bias| bias as f32)).collect();
    let weight = StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(data) };
    Linear::new(rows.len(), n_in, weight, bias)
}

fn column_sums(x: &[f32], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    x.chunks(n).for_each(|row| ops::add(&mut sums, row));
    sums
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}
