//! Tiny random models of odd shapes.
//!
//! A model of a few thousand weights exercises every branch of the forward pass in microseconds,
//! if its shape leaves nothing even: rows that end in a ragged group, heads of odd width, a missing bias.

use proptest::prelude::*;
use proptest::sample::select;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use crate::oracle::{Activation, Block, Choices, Linear, Matrix, Model, Norm, OtherNorms};

/// The standard deviation of a weight times the square root of its row's length.
/// At 1.5 attention is far from uniform and an error anywhere reaches the logits.
const GAIN: f64 = 1.5;

/// How positions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// By rows that are added.
    Learned,
    /// By pairs of the first `dim` elements of a head that turn: in every layer by one table of frequencies, or in every
    /// second by another.
    Rotary {
        /// Even.
        dim: usize,
        /// Whether there are two.
        two_tables: bool,
    },
}

/// What queries see of the positions up to their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many positions.
    pub len: usize,
    /// Whether layers do, by turns; at least one of the first two.
    pub layers: [bool; 2],
}

/// Where norms are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormPlaces {
    /// Before attention and the MLP.
    pub before: bool,
    /// Behind either.
    pub after: bool,
    /// Behind the embedding.
    pub embedding: bool,
    /// Of each head's queries and keys.
    pub heads: bool,
    /// Before the head.
    pub last: bool,
}

impl NormPlaces {
    /// GPT-2's.
    pub const GPT2: Self = Self { before: true, after: false, embedding: false, heads: false, last: true };
}

/// What to make; [`Spec::model`] makes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Number of tokens.
    pub n_vocab: usize,
    /// Longest context.
    pub n_ctx: usize,
    /// Width; `n_head` divides it, or `head_dim` is said.
    pub n_embd: usize,
    /// Heads of queries.
    pub n_head: usize,
    /// Heads of keys and values, which divide those of queries; `None`: as many.
    pub n_kv_head: Option<usize>,
    /// Width of a head; `None`: a head's part of the width.
    pub head_dim: Option<usize>,
    /// Blocks.
    pub n_layer: usize,
    /// Width of the MLP.
    pub n_ff: usize,
    /// Which vectors exist.
    pub biases: Biases,
    /// Whether the head has weights of its own.
    pub untied: bool,
    /// The MLP's.
    pub activation: Activation,
    /// Whether there is a gate.
    pub gated: bool,
    /// How positions are told.
    pub positions: Positions,
    /// What queries see; `None`: all positions.
    pub window: Option<Window>,
    /// Whether norms are of the mean of squares; these never shift.
    pub rms_norm: bool,
    /// Whether norms scale.
    pub norm_scales: bool,
    /// Where they are.
    pub norm_places: NormPlaces,
    /// The norms'.
    pub epsilon: f32,
    /// Whether attention and MLP have the same input.
    pub parallel: bool,
    /// Multiplies the token embedding.
    pub embedding_scale: f32,
}

/// Windows on both sides of a block of attention.
pub const WINDOWS: [usize; 5] = [5, 31, 32, 33, 70];

/// A Llama all of whose layers see a window of `len`, with Gemma's norms, and a GPT-Neo of which every second one does, both
/// of contexts that go round a ring twice where 64 positions go through a layer together.
pub const fn past_two_wraps(len: usize) -> [Spec; 2] {
    let n_ctx = 2 * (len + 64 + 30).next_multiple_of(32) + 35;
    let llama = Spec {
        n_embd: 12,
        n_head: 4,
        n_kv_head: Some(2),
        head_dim: Some(4),
        positions: Positions::Rotary { dim: 4, two_tables: true },
        norm_places: NormPlaces { after: true, heads: true, ..NormPlaces::GPT2 },
        ..Spec::LLAMA
    };
    let neo = Spec { n_embd: 15, n_head: 3, ..Spec::NEO };
    [
        Spec { n_vocab: 13, n_ctx, n_layer: 2, n_ff: 11, window: Some(Window { len, layers: [true; 2] }), ..llama },
        Spec { n_vocab: 13, n_ctx, n_layer: 2, n_ff: 11, window: Some(Window { len, layers: [false, true] }), ..neo },
    ]
}

/// Which linear maps and norms have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    /// Queries, keys and values.
    pub qkv: bool,
    /// The projection after attention.
    pub attn_proj: bool,
    /// The first half of the MLP.
    pub fc: bool,
    /// The second half of the MLP.
    pub mlp_proj: bool,
    /// All layer norms.
    pub layer_norm: bool,
    /// The head.
    pub head: bool,
}

impl Biases {
    /// As Hugging Face's GPT-2: all but the head's.
    pub const GPT2: Self = Self { qkv: true, attn_proj: true, fc: true, mlp_proj: true, layer_norm: true, head: false };
    /// As nanoGPT's `bias=False`.
    pub const NONE: Self =
        Self { qkv: false, attn_proj: false, fc: false, mlp_proj: false, layer_norm: false, head: false };
}

impl Spec {
    /// Two layers of width 32 with rows that fill half a group: the plainest of the odd ones.
    pub const SMALL: Self = Self {
        n_vocab: 61,
        n_ctx: 16,
        n_embd: 32,
        n_head: 4,
        n_kv_head: None,
        head_dim: None,
        n_layer: 2,
        n_ff: 128,
        biases: Biases::GPT2,
        untied: false,
        activation: Activation::GeluTanh,
        gated: false,
        positions: Positions::Learned,
        window: None,
        rms_norm: false,
        norm_scales: true,
        norm_places: NormPlaces::GPT2,
        epsilon: 1e-5,
        parallel: false,
        embedding_scale: 1.0,
    };

    /// Nothing even: three layers, five heads of twelve, an MLP that is no multiple of the width, ragged groups.
    pub const RAGGED: Self = Self {
        n_vocab: 97,
        n_ctx: 24,
        n_embd: 60,
        n_head: 5,
        n_layer: 3,
        n_ff: 100,
        untied: true,
        activation: Activation::GeluErf,
        ..Self::SMALL
    };

    /// The smallest that there is: one layer, one head, one column, one token.
    pub const MINIMAL: Self = Self { n_vocab: 1, n_ctx: 3, n_embd: 1, n_head: 1, n_layer: 1, n_ff: 1, ..Self::SMALL };

    /// Rows of the MLP's second matrix that are longer than a 1 KiB buffer in every weight format.
    pub const LONG_ROWS: Self =
        Self { n_vocab: 33, n_ctx: 8, n_embd: 36, n_head: 3, n_layer: 1, n_ff: 1100, ..Self::SMALL };

    /// A context of three blocks of 8-bit attention, the last one of a single position.
    pub const LONG_CONTEXT: Self = Self { n_vocab: 17, n_ctx: 65, n_embd: 14, n_head: 2, n_ff: 9, ..Self::SMALL };

    /// A GPT-Neo: every second layer sees a window.
    pub const NEO: Self = Self {
        n_ctx: 33,
        n_layer: 2,
        biases: Biases { qkv: false, ..Biases::GPT2 },
        untied: false,
        activation: Activation::GeluTanh,
        window: Some(Window { len: 6, layers: [false, true] }),
        ..Self::RAGGED
    };

    /// A Llama, of widths none of which is another; the last run of its gate has four rows.
    pub const LLAMA: Self = Self {
        n_embd: 44,
        n_head: 6,
        n_kv_head: Some(2),
        head_dim: Some(10),
        n_ff: 60,
        biases: Biases::NONE,
        activation: Activation::Silu,
        gated: true,
        positions: Positions::Rotary { dim: 10, two_tables: false },
        rms_norm: true,
        ..Self::RAGGED
    };

    /// A Mistral: all layers see a window, of more than a block of attention.
    pub const MISTRAL: Self = Self {
        n_ctx: 70,
        n_embd: 20,
        n_head: 2,
        n_kv_head: Some(1),
        n_layer: 2,
        n_ff: 27,
        untied: false,
        window: Some(Window { len: 33, layers: [true; 2] }),
        ..Self::LLAMA
    };

    /// A GPT-NeoX: attention beside the MLP, and half of each head turns.
    pub const NEOX: Self = Self {
        n_head: 4,
        head_dim: Some(15),
        n_layer: 2,
        n_ff: 70,
        positions: Positions::Rotary { dim: 8, two_tables: false },
        parallel: true,
        ..Self::RAGGED
    };

    /// A Qwen 3: heads are normalised before they turn.
    pub const QWEN3: Self =
        Self { n_ctx: 33, norm_places: NormPlaces { heads: true, ..NormPlaces::GPT2 }, ..Self::LLAMA };

    /// A Gemma 3: norms before and behind, two tables by the layers of a window, a scaled embedding; narrower behind than
    /// where it normalises.
    pub const GEMMA: Self = Self {
        n_ctx: 40,
        n_embd: 52,
        n_head: 2,
        n_kv_head: Some(1),
        n_ff: 19,
        untied: false,
        activation: Activation::GeluTanh,
        positions: Positions::Rotary { dim: 10, two_tables: true },
        window: Some(Window { len: 7, layers: [true, false] }),
        norm_places: NormPlaces { after: true, heads: true, ..NormPlaces::GPT2 },
        embedding_scale: 7.211_102_5,
        ..Self::LLAMA
    };

    /// microgpt: norms scale nothing, one of them is the embedding's and none the head's.
    pub const MICROGPT: Self = Self {
        biases: Biases::NONE,
        untied: true,
        activation: Activation::Relu,
        rms_norm: true,
        norm_scales: false,
        norm_places: NormPlaces { embedding: true, last: false, ..NormPlaces::GPT2 },
        ..Self::SMALL
    };

    /// The shapes of GPT-2 above and their variations: each bias alone absent, none at all, a head with a bias, tied and untied,
    /// a large epsilon, both GELUs, an odd head width.
    pub fn catalogue() -> Vec<Self> {
        let without = |biases| Self { biases, ..Self::SMALL };
        vec![
            Self::SMALL,
            Self::RAGGED,
            Self::MINIMAL,
            Self::LONG_CONTEXT,
            Self::LONG_ROWS,
            without(Biases::NONE),
            without(Biases { qkv: false, ..Biases::GPT2 }),
            without(Biases { attn_proj: false, ..Biases::GPT2 }),
            without(Biases { fc: false, ..Biases::GPT2 }),
            without(Biases { mlp_proj: false, ..Biases::GPT2 }),
            without(Biases { layer_norm: false, ..Biases::GPT2 }),
            without(Biases { head: true, ..Biases::GPT2 }),
            Self { untied: true, biases: Biases { head: true, ..Biases::NONE }, ..Self::RAGGED },
            Self { epsilon: 1e-3, activation: Activation::GeluErf, n_layer: 1, ..Self::SMALL },
            Self { n_embd: 35, n_head: 5, n_ff: 63, n_vocab: 257, ..Self::RAGGED },
            Self { n_embd: 65, n_head: 1, n_ff: 64, n_vocab: 64, ..Self::SMALL },
        ]
    }

    /// Models of other families, and of none.
    pub fn families() -> Vec<Self> {
        let rotary = |dim, two_tables| Positions::Rotary { dim, two_tables };
        let window = |len, layers| Some(Window { len, layers });
        vec![
            Self::NEO,
            Self::LLAMA,
            Self::MISTRAL,
            Self::NEOX,
            Self::QWEN3,
            Self::GEMMA,
            Self::MICROGPT,
            // Norms wherever they can be, which shift; attention beside the MLP; a scaled embedding and learned positions.
            Self {
                norm_places: NormPlaces { before: true, after: true, embedding: true, heads: true, last: true },
                parallel: true,
                embedding_scale: 0.75,
                ..Self::RAGGED
            },
            // None before, as in OLMo 2.
            Self { norm_places: NormPlaces { before: false, after: true, ..NormPlaces::GPT2 }, ..Self::LLAMA },
            Self { norm_places: NormPlaces { before: false, heads: true, ..NormPlaces::GPT2 }, ..Self::NEOX },
            // All that either has.
            Self {
                positions: rotary(4, true),
                window: window(1, [true, false]),
                biases: Biases { head: true, ..Biases::GPT2 },
                rms_norm: false,
                activation: Activation::GeluErf,
                ..Self::LLAMA
            },
            Self { n_kv_head: Some(1), gated: true, n_ff: 7, activation: Activation::ReluSquared, ..Self::SMALL },
            Self { rms_norm: true, norm_scales: false, activation: Activation::Relu, ..Self::SMALL },
            Self { norm_scales: false, biases: Biases::NONE, positions: rotary(2, false), ..Self::SMALL },
            Self { positions: rotary(6, true), window: window(40, [false, true]), ..Self::LONG_CONTEXT },
            Self { head_dim: Some(3), n_kv_head: Some(5), activation: Activation::Silu, ..Self::RAGGED },
        ]
    }

    /// [`Spec::catalogue`] and [`Spec::families`].
    pub fn all() -> Vec<Self> {
        [Self::catalogue(), Self::families()].concat()
    }

    /// Any shape, for property tests.
    pub fn any() -> impl Strategy<Value = Self> {
        let shape = (1..130_usize, 1..20_usize, 1..4_usize, 1..14_usize, 1..4_usize, 1..150_usize);
        let biases = any::<[bool; 6]>().prop_map(|[qkv, attn_proj, fc, mlp_proj, layer_norm, head]| Biases {
            qkv,
            attn_proj,
            fc,
            mlp_proj,
            layer_norm,
            head,
        });
        let norms = (prop::bool::weighted(0.4), prop::bool::weighted(0.9), select(vec![1e-5, 1e-3, 1e-6]));
        // Without a norm on either side values may outgrow what an f32 holds.
        let places = [0.6, 0.25, 0.2, 0.25, 0.9].map(prop::bool::weighted).prop_map(
            |[before, after, embedding, heads, last]| NormPlaces {
                before: before || !after,
                after,
                embedding,
                heads,
                last,
            },
        );
        let norms = (norms, places);
        let block = (prop::bool::weighted(0.25), select(vec![1.0, 1.0, 1.0, 3.5, 0.4]));
        let mlp = (select(Activation::ALL.to_vec()), prop::bool::weighted(0.4));
        // Of a head's pairs, and of a context.
        let rotary = (prop::option::weighted(0.5, any::<prop::sample::Index>()), any::<bool>());
        let window =
            prop::option::weighted(0.3, (1..25_usize, select(vec![[true, true], [true, false], [false, true]])));
        let heads = (1..4_usize, prop::option::weighted(0.4, 1..60_usize));
        (shape, biases, any::<bool>(), norms, mlp, rotary, window, heads, block).prop_map(
            |(shape, biases, untied, norms, (activation, gated), (pairs, two_tables), window, heads, block)| {
                let ((sharing, n_embd), (parallel, embedding_scale)) = (heads, block);
                let ((rms_norm, norm_scales, epsilon), norm_places) = norms;
                let (n_vocab, n_ctx, n_kv_head, head_dim, n_layer, n_ff) = shape;
                let n_head = n_kv_head * sharing;
                let dim = pairs.filter(|_| head_dim >= 2).map(|pairs| 2 * (1 + pairs.index(head_dim / 2)));
                let positions = dim.map_or(Positions::Learned, |dim| Positions::Rotary { dim, two_tables });
                Self {
                    n_vocab,
                    n_ctx,
                    n_embd: n_embd.unwrap_or(n_head * head_dim),
                    n_head,
                    n_kv_head: Some(n_kv_head),
                    head_dim: Some(head_dim),
                    n_layer,
                    n_ff,
                    biases,
                    untied,
                    activation,
                    gated,
                    positions,
                    window: window.map(|(len, layers)| Window { len, layers }),
                    rms_norm,
                    norm_scales,
                    norm_places,
                    epsilon,
                    parallel,
                    embedding_scale,
                }
            },
        )
    }

    /// A model of this shape; the same seed gives the same model. Every weight is exactly an f32.
    pub fn model(&self, seed: u64) -> Model {
        let mut draw = Draw(Pcg64::seed_from_u64(seed));
        let Self { n_vocab, n_ctx, n_embd, n_head, n_ff, n_layer, biases, .. } = *self;
        let head_dim = self.head_dim.unwrap_or(n_embd / n_head);
        let n_kv_head = self.n_kv_head.unwrap_or(n_head);
        let (queries, qkv) = (n_head * head_dim, (n_head + 2 * n_kv_head) * head_dim);
        let fc = if self.gated { 2 * n_ff } else { n_ff };
        let shifts = biases.layer_norm && !self.rms_norm;
        let places = self.norm_places;
        let norm_of = |draw: &mut Draw, n: usize, shifts: bool| {
            let norm = draw.norm(n, shifts);
            Norm { weight: norm.weight.filter(|_| self.norm_scales), ..norm }
        };
        let norm_if = |is_there: bool, draw: &mut Draw| match is_there {
            true => norm_of(draw, n_embd, shifts),
            false => Norm { weight: None, bias: None },
        };
        let mut model = Model {
            n_ctx,
            n_head,
            epsilon: f64::from(self.epsilon),
            activation: self.activation,
            wte: draw.matrix(n_vocab, n_embd, 0.5),
            wpe: if self.positions == Positions::Learned { draw.matrix(n_ctx, n_embd, 0.5) } else { Vec::new() },
            blocks: (0..n_layer)
                .map(|_| Block {
                    ln_1: norm_if(places.before, &mut draw),
                    c_attn: draw.linear(qkv, n_embd, biases.qkv),
                    attn_proj: draw.linear(n_embd, queries, biases.attn_proj),
                    ln_2: norm_if(places.before, &mut draw),
                    c_fc: draw.linear(fc, n_embd, biases.fc),
                    mlp_proj: draw.linear(n_embd, n_ff, biases.mlp_proj),
                })
                .collect(),
            ln_f: norm_if(places.last, &mut draw),
            lm_head: self.untied.then(|| draw.linear(n_vocab, n_embd, false).weight),
            lm_head_bias: biases.head.then(|| draw.vector(n_vocab, 0.0, 0.2)),
            choices: Choices {
                rms_norm: self.rms_norm,
                n_kv_head: (n_kv_head != n_head).then_some(n_kv_head),
                head_dim: (queries != n_embd).then_some(head_dim),
                turns: self.turns(),
                windows: self.window.map_or(Vec::new(), |window| {
                    (0..n_layer).map(|layer| window.layers[layer % 2].then_some(window.len)).collect()
                }),
                gated: self.gated,
                parallel: self.parallel,
                embedding_scale: f64::from(self.embedding_scale),
                ..Choices::GPT2
            },
        };
        let layers = 0..n_layer;
        model.choices.norms = OtherNorms {
            none_before: !places.before,
            none_last: !places.last,
            embedding: places.embedding.then(|| norm_of(&mut draw, n_embd, shifts)),
            heads: layers
                .clone()
                .filter(|_| places.heads)
                .map(|_| [(); 2].map(|()| norm_of(&mut draw, head_dim, false)))
                .collect(),
            after: layers
                .filter(|_| places.after)
                .map(|_| [(); 2].map(|()| norm_of(&mut draw, n_embd, shifts)))
                .collect(),
        };
        model
    }

    /// The frequencies of every layer: powers of 10,000; and where there is a second table, from almost a turn on.
    fn turns(&self) -> Vec<Vec<f64>> {
        let Positions::Rotary { dim, two_tables } = self.positions else { return Vec::new() };
        let pairs = 0..dim / 2;
        let slow: Vec<f64> = pairs.clone().map(|i| 10_000f64.powf(-2.0 * i as f64 / dim as f64)).collect();
        let fast: Vec<f64> = pairs.map(|i| 6.0 / (1.0 + i as f64)).collect();
        (0..self.n_layer).map(|layer| if two_tables && layer % 2 == 1 { fast.clone() } else { slow.clone() }).collect()
    }

    /// `n` token ids; the same seed gives the same ids.
    pub fn tokens(&self, n: usize, seed: u64) -> Vec<u32> {
        let ids = rand::distr::Uniform::new(0, self.n_vocab as u32).expect("a model has a vocabulary");
        ids.sample_iter(Pcg64::seed_from_u64(seed ^ 0x746f_6b65_6e73)).take(n).collect()
    }
}

pub(crate) struct Draw(pub(crate) Pcg64);

impl Draw {
    pub(crate) fn vector(&mut self, n: usize, mean: f64, std: f64) -> Vec<f64> {
        let normal = StandardNormal.sample_iter(&mut self.0).take(n);
        normal.map(|x: f64| f64::from((mean + std * x) as f32)).collect()
    }

    pub(crate) fn matrix(&mut self, rows: usize, columns: usize, std: f64) -> Matrix {
        (0..rows).map(|_| self.vector(columns, 0.0, std)).collect()
    }

    pub(crate) fn linear(&mut self, n_out: usize, n_in: usize, bias: bool) -> Linear {
        Linear {
            weight: self.matrix(n_out, n_in, GAIN / (n_in as f64).sqrt()),
            bias: bias.then(|| self.vector(n_out, 0.0, 0.2)),
        }
    }

    pub(crate) fn norm(&mut self, n: usize, bias: bool) -> Norm {
        Norm { weight: Some(self.vector(n, 1.0, 0.2)), bias: bias.then(|| self.vector(n, 0.0, 0.2)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_model() {
        for spec in Spec::all() {
            assert_eq!(spec.model(7), spec.model(7));
            assert_ne!(spec.model(7), spec.model(8));
        }
    }

    #[test]
    fn the_catalogue_has_no_doubles() {
        let all = Spec::all();
        for (i, spec) in all.iter().enumerate() {
            assert!(!all[..i].contains(spec), "{spec:?}");
        }
    }

    #[test]
    fn attention_and_mlp_reach_the_logits() {
        let model = Spec::RAGGED.model(1);
        let tokens = Spec::RAGGED.tokens(6, 1);
        let logits = model.logits(&tokens);
        let mut changed = model.clone();
        changed.blocks[0].c_attn.weight[61][3] += 0.1;
        let mut shorter = tokens.clone();
        shorter[0] = (shorter[0] + 1) % 97;
        assert_ne!(changed.logits(&tokens)[5], logits[5]);
        assert_ne!(model.logits(&shorter)[5], logits[5]);
        assert_eq!(model.logits(&tokens[..3]), logits[..3], "a later token must not change an earlier logit");
    }
}
