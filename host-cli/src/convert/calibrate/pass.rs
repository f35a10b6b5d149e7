//! One pass of a text through a model and, beside it, through what has been rounded of it so far.
//!
//! Matrix by matrix, in the order in which a token meets them: the weights move to where the rounded model's inputs give
//! the outputs that the checkpoint's weights give on the checkpoint's inputs (as in GPTAQ, Li et al., 2025). Those that
//! write to the residual stream also repair what was lost of it before. Then they are rounded by the moments of the
//! rounded model's inputs.
//!
//! Several rounded models go side by side: what the checkpoint's own way comes to is computed once for all, and models
//! whose formats are the same so far are one.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use emberlm_core::blob::{LayerSlot, Slot};
use emberlm_core::config::{Config, TokenId};
use emberlm_core::format::{Format, Packing};
use rayon::prelude::*;

use super::Windows;
use super::correction::{Correction, Inputs};
use super::exact::{Exact, attend, missing};
use crate::checkpoint::{Checkpoint, Orientation, StoredMatrix};
use crate::convert::formats::Formats;
use crate::convert::linalg::{column_sums, second_moments};
use crate::convert::pack::stored_float;
use crate::convert::quantized::{QuantizeError, Quantized, stored_matrix, stored_vector};
use crate::convert::round::{Metric, Moments, in_shares};
use crate::convert::row::RoundedRow;
use crate::ground::memory;
use crate::reference::Reference;
use crate::reference::ops::{self, Linear};

/// Rounds, for each of several choices of formats, every matrix whose format is one of integers; tells `done` of each
/// choice's.
///
/// # Errors
/// The text's activations are not finite.
pub fn round_in_order(
    checkpoint: &Checkpoint,
    formats: &[&Formats],
    windows: &Windows,
    done: impl FnMut(usize, Slot),
) -> Result<Vec<Quantized>, QuantizeError> {
    let mut end = 0;
    let spans = windows.iter().map(|window| {
        end += window.len();
        end - window.len()..end
    });
    let pass = Pass {
        checkpoint,
        reference: &Reference::new(checkpoint),
        formats,
        config: *checkpoint.config(),
        spans: spans.collect(),
        out: formats.iter().map(|_| Quantized::none(checkpoint.config())).collect(),
        done,
    };
    pass.run(windows)
}

/// The positions of all windows, one after another.
struct Pass<'p, F> {
    checkpoint: &'p Checkpoint,
    reference: &'p Reference<'p>,
    formats: &'p [&'p Formats],
    config: Config,
    /// The positions of each window.
    spans: Vec<Range<usize>>,
    /// For each choice of formats.
    out: Vec<Quantized>,
    done: F,
}

/// A rounded model: that of several choices of formats which are the same so far.
struct Way {
    choices: Vec<usize>,
    /// Its residual stream, `[t, n_embd]`.
    x: Vec<f64>,
}

/// A layer's weights and, where it has them, its biases.
type LayerSlots = (Slot, Option<Slot>);

impl<F: FnMut(usize, Slot)> Pass<'_, F> {
    fn run(mut self, windows: &Windows) -> Result<Vec<Quantized>, QuantizeError> {
        let advice = "; --calibrate none takes none of it";
        memory::check("calibration", self.bytes(windows)).map_err(|error| error.or(advice))?;
        let all: Vec<usize> = (0..self.formats.len()).collect();
        if self.checkpoint.is_tied() {
            self.round_tied_head(&all, windows)?;
        } else {
            self.round_to_nearest(&all, Slot::Wte);
        }
        if self.checkpoint.has(Slot::Wpe) {
            self.round_to_nearest(&all, Slot::Wpe);
        }
        let mut x = embed(windows, |token, position, x| x.extend(self.reference.embedding(token, position)));
        let of_tokens = self.by_format(&all, Slot::Wte);
        let of_both = of_tokens.iter().flat_map(|(_, choices)| self.by_format(choices, Slot::Wpe));
        let way = |(_, choices): (Format, Vec<usize>)| Way { x: self.embed_rounded(choices[0], windows), choices };
        let mut ways: Vec<Way> = of_both.map(way).collect();
        for layer in 0..self.config.n_layer {
            let exact = Exact::advance(self.reference, layer, &mut x, &self.spans);
            let mut next = Vec::new();
            for way in ways {
                self.round_block(layer, &exact, &way, &mut next)?;
            }
            ways = next;
        }
        if let Some(head) = self.reference.untied_head() {
            let exact = self.reference.ln_f.apply(&x);
            for way in &ways {
                let inputs = Inputs { exact: &exact, rounded: &self.reference.ln_f.apply(&way.x) };
                self.round_layer(&way.choices, (Slot::LmHead, Some(Slot::LmHeadBias)), head, inputs, None)?;
            }
        }
        Ok(self.out)
    }

    /// Bytes that a pass takes, about: the streams, the checkpoint's inputs to a block's matrices, the widest inputs and
    /// outputs of one way, and the moments of the widest inputs.
    fn bytes(&self, windows: &Windows) -> u64 {
        let (n_embd, width) = (u64::from(self.config.n_embd), self.config.max_width() as u64);
        let outputs =
            [LayerSlot::AttnQkvWeight, LayerSlot::FcWeight].map(|slot| Slot::Layer(0, slot).shape(&self.config).0);
        let outputs = width.max(outputs.into_iter().max().map_or(0, u64::from));
        let streams = 8 * n_embd * (3 + 2 * self.formats.len() as u64);
        let activations = streams + 4 * (3 * n_embd + width) + 4 * (2 * outputs + width);
        (windows.n_tokens() as u64).saturating_mul(activations).saturating_add(4 * 8 * width * width)
    }

    /// Rounds a block on one way, which leads to those that are added to `next`.
    fn round_block(&mut self, layer: u32, exact: &Exact, way: &Way, next: &mut Vec<Way>) -> Result<(), QuantizeError> {
        let block = &self.reference.blocks[layer as usize];
        let at = |weight, bias| (Slot::Layer(layer, weight), Some(Slot::Layer(layer, bias)));
        let normed = block.ln_1.apply(&way.x);
        let inputs = Inputs { exact: &exact.normed, rounded: &normed };
        let slots = at(LayerSlot::AttnQkvWeight, LayerSlot::AttnQkvBias);
        for (choices, qkv) in self.round_layer(&way.choices, slots, &block.qkv, inputs, None)? {
            let attended = attend(self.reference, layer, &qkv.apply(&normed), &self.spans);
            let inputs = Inputs { exact: &exact.attended, rounded: &attended };
            let slots = at(LayerSlot::AttnProjWeight, LayerSlot::AttnProjBias);
            let missing = block.adds_projections().then(|| missing(&exact.before, &way.x));
            for (choices, proj) in self.round_layer(&choices, slots, &block.attn_proj, inputs, missing)? {
                let mut x = way.x.clone();
                ops::add(&mut x, &block.of_attention(proj.apply(&attended)));
                // The MLP's inputs, where these do not wait for attention.
                let normed = block.ln_2.apply(if self.config.parallel { &way.x } else { &x });
                self.round_mlp(layer, exact, &Way { choices, x }, &normed, next)?;
            }
        }
        Ok(())
    }

    fn round_mlp(
        &mut self,
        layer: u32,
        exact: &Exact,
        way: &Way,
        normed: &[f32],
        next: &mut Vec<Way>,
    ) -> Result<(), QuantizeError> {
        let block = &self.reference.blocks[layer as usize];
        let at = |weight, bias| (Slot::Layer(layer, weight), Some(Slot::Layer(layer, bias)));
        let inputs = Inputs { exact: &exact.normed_between, rounded: normed };
        let slots = at(LayerSlot::FcWeight, LayerSlot::FcBias);
        for (choices, fc) in self.round_layer(&way.choices, slots, &block.fc, inputs, None)? {
            let hidden = self.reference.activate(fc.apply(normed));
            let inputs = Inputs { exact: &exact.hidden, rounded: &hidden };
            let slots = at(LayerSlot::MlpProjWeight, LayerSlot::MlpProjBias);
            let missing = block.adds_projections().then(|| missing(&exact.between, &way.x));
            for (choices, proj) in self.round_layer(&choices, slots, &block.mlp_proj, inputs, missing)? {
                let mut x = way.x.clone();
                ops::add(&mut x, &block.of_mlp(proj.apply(&hidden)));
                next.push(Way { choices, x });
            }
        }
        Ok(())
    }

    /// Rounds one layer given its inputs, `[t, n_in]`, and what the residual stream that it adds to lacks, `[t, n_out]`.
    /// Returns the layers that the rounded weights make, and for which choices.
    fn round_layer(
        &mut self,
        choices: &[usize],
        (weight, bias): LayerSlots,
        layer: &Linear<'_>,
        inputs: Inputs<'_>,
        missing: Option<Vec<f32>>,
    ) -> Result<Vec<(Vec<usize>, Linear<'static>)>, QuantizeError> {
        let n_in = weight.shape(&self.config).1 as usize;
        let bias = bias.filter(|&slot| self.checkpoint.has(slot));
        let tensor = self.checkpoint.tensor(weight).expect("a layer has weights");
        let biases = layer.bias().filter(|_| bias.is_some());
        let mut learned = None;
        let mut missing = Some(missing);
        let mut layers = Vec::new();
        for (format, choices) in self.by_format(choices, weight) {
            let Some(packing) = format.packing() else {
                choices.iter().for_each(|&choice| (self.done)(choice, weight));
                layers.push((choices, self.floats(weight, bias, format)));
                continue;
            };
            if let Some(missing) = missing.take() {
                let metric = self.metric(weight, inputs.rounded, n_in, bias.is_some())?;
                learned = Some((metric, Correction::new(layer, inputs, n_in, missing)));
            }
            let (metric, correction) = learned.as_ref().expect("learned before the first matrix is rounded");
            let rows = in_shares(tensor.rows, |range| {
                let mut rows = to_f64(&tensor.data[range.start * n_in..range.end * n_in]);
                let mut biases = biases.map(|biases| to_f64(&biases[range.clone()]));
                let (cross, cross_bias) = correction.of_rows(&rows, range);
                metric.correct(&mut rows, biases.as_deref_mut(), &cross, &cross_bias);
                metric.round(packing, &rows, biases.as_deref())
            });
            let rounded = stored_layer(&rows, packing, n_in);
            let stored = Arc::new(stored_matrix(format, packing, &rows, &tensor.data));
            for &choice in &choices {
                self.out[choice].put(weight, stored.clone());
                if let (Some(slot), Some(old), Some(new)) = (bias, biases, rounded.bias()) {
                    let stored = stored_vector(self.formats[choice].get(slot), new, old);
                    self.out[choice].put(slot, Arc::new(stored));
                }
                (self.done)(choice, weight);
            }
            layers.push((choices, rounded));
        }
        Ok(layers)
    }

    /// Rounds the token embedding as the head that it is, by the checkpoint's own inputs to it.
    fn round_tied_head(&mut self, choices: &[usize], windows: &Windows) -> Result<(), QuantizeError> {
        let n_embd = self.config.n_embd as usize;
        let tensor = self.checkpoint.tensor(Slot::Wte).expect("a model has embeddings");
        let mut learned = None;
        for (format, choices) in self.by_format(choices, Slot::Wte) {
            if let Some(packing) = format.packing() {
                if learned.is_none() {
                    let windows: Vec<&[TokenId]> = windows.iter().collect();
                    let hidden = |window: &&[TokenId]| self.reference.hidden(window).expect("windows fit the model");
                    let hidden: Vec<f32> = windows.par_iter().map(hidden).collect::<Vec<_>>().concat();
                    learned = Some(self.metric(Slot::Wte, &hidden, n_embd, false)?);
                }
                let metric = learned.as_ref().expect("learned before the first matrix is rounded");
                let rows = in_shares(tensor.rows, |range| {
                    metric.round(packing, &to_f64(&tensor.data[range.start * n_embd..range.end * n_embd]), None)
                });
                let stored = Arc::new(stored_matrix(format, packing, &rows, &tensor.data));
                choices.iter().for_each(|&choice| self.out[choice].put(Slot::Wte, stored.clone()));
            }
            choices.iter().for_each(|&choice| (self.done)(choice, Slot::Wte));
        }
        Ok(())
    }

    fn round_to_nearest(&mut self, choices: &[usize], slot: Slot) {
        for (format, choices) in self.by_format(choices, slot) {
            let stored = Quantized::nearest(self.checkpoint, slot, format).map(Arc::new);
            for choice in choices {
                stored.iter().for_each(|stored| self.out[choice].put(slot, stored.clone()));
                (self.done)(choice, slot);
            }
        }
    }

    /// Choices that give a matrix one format, in the order of the first of each.
    fn by_format(&self, choices: &[usize], slot: Slot) -> Vec<(Format, Vec<usize>)> {
        let mut groups: Vec<(Format, Vec<usize>)> = Vec::new();
        for &choice in choices {
            let format = self.formats[choice].get(slot);
            match groups.iter_mut().find(|(of_group, _)| *of_group == format) {
                Some((_, group)) => group.push(choice),
                None => groups.push((format, vec![choice])),
            }
        }
        groups
    }

    fn metric(&self, slot: Slot, inputs: &[f32], n_in: usize, bias: bool) -> Result<Metric, QuantizeError> {
        let squares = second_moments(inputs, n_in);
        let (sums, count) = (bias.then(|| column_sums(inputs, n_in)), (inputs.len() / n_in) as f64);
        Metric::new(Moments { n_in, squares, sums, count }).ok_or(QuantizeError::NotFinite { slot })
    }

    /// A layer whose weights are stored as floats.
    fn floats(&self, weight: Slot, bias: Option<Slot>, format: Format) -> Linear<'static> {
        let tensor = self.checkpoint.tensor(weight).expect("a layer has weights");
        let data = tensor.data.iter().map(|&weight| stored_float(weight, format)).collect();
        let bias = bias.and_then(|slot| self.checkpoint.tensor(slot)).map(|tensor| tensor.data.into_owned());
        let weight = StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(data) };
        Linear::new(tensor.rows, tensor.cols, weight, bias)
    }

    /// The first block's inputs by the embeddings as a choice stores them.
    fn embed_rounded(&self, choice: usize, windows: &Windows) -> Vec<f64> {
        let row = |slot: Slot, index: usize, x: &mut [f64]| {
            let row = self.out[choice].row(self.checkpoint, self.formats[choice], slot, index);
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
            self.reference.ln_e.apply_in_place(&mut x[start..]);
        })
    }
}

fn embed(windows: &Windows, mut append: impl FnMut(TokenId, usize, &mut Vec<f64>)) -> Vec<f64> {
    let mut x = Vec::new();
    for window in windows.iter() {
        window.iter().enumerate().for_each(|(position, &token)| append(token, position, &mut x));
    }
    x
}

/// The layer that rounded rows stand for.
fn stored_layer(rows: &[RoundedRow], packing: Packing, n_in: usize) -> Linear<'static> {
    let data = rows.par_iter().flat_map_iter(|row| row.weights(packing.group)).collect();
    let bias: Option<Vec<f32>> = rows.iter().map(|row| row.bias.map(|bias| bias as f32)).collect();
    let weight = StoredMatrix { orientation: Orientation::OutIn, data: Cow::Owned(data) };
    Linear::new(rows.len(), n_in, weight, bias)
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}
