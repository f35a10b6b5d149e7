//! Writes a Llama as llama2.c does, in each of its formats.

use crate::oracle::{Matrix, Model, Norm};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The first, with tables of cosines and sines; no magic.
    Zero,
    /// f32 behind a header of 256 bytes.
    One,
    /// Matrices in i8, in groups of so many.
    Two(usize),
}

/// The file of a model with no biases whose pairs turn by powers of a base, for `n_ctx` positions.
///
/// Matrices are rounded where the format is [`Version::Two`], in `model` too.
pub fn write(model: &mut Model, version: Version, n_ctx: usize) -> Vec<u8> {
    let (n_layer, n_vocab) = (model.blocks.len(), model.n_vocab() as i32);
    let tied = model.lm_head.is_none();
    let counts = [model.n_embd(), model.n_ff(), n_layer, model.n_head, model.n_kv_head()].map(|count| count as i32);
    let said = if version == Version::Zero && !tied { -n_vocab } else { n_vocab };
    let counts = counts.into_iter().chain([said, n_ctx as i32]).flat_map(i32::to_le_bytes);
    let mut file = Vec::new();
    match version {
        Version::Zero => file.extend(counts),
        Version::One | Version::Two(_) => {
            let number = if version == Version::One { 1 } else { 2i32 };
            file.extend(b"24ka".iter().copied().chain(number.to_le_bytes()).chain(counts));
            file.push(tied.into());
            if let Version::Two(group) = version {
                file.extend((group as i32).to_le_bytes());
            }
            file.resize(256, 0);
        }
    }
    let group = if let Version::Two(group) = version { Some(group) } else { None };
    let norms: [Vec<f64>; 2] = [
        model.blocks.iter().flat_map(|block| scale(&block.ln_1)).collect(),
        model.blocks.iter().flat_map(|block| scale(&block.ln_2)).collect(),
    ];
    if version != Version::Zero {
        norms.iter().for_each(|norm| put(&mut file, norm));
        put(&mut file, &scale(&model.ln_f));
    }
    put_matrix(&mut file, &mut model.wte, group);
    if version == Version::Zero {
        put(&mut file, &norms[0]);
    }
    let (head_dim, queries) = (model.head_dim(), model.n_head * model.head_dim());
    let keys = model.n_kv_head() * head_dim;
    for (first, n, turns) in [(0, queries, true), (queries, keys, true), (queries + keys, keys, false)] {
        for block in &mut model.blocks {
            let mut part: Matrix = block.c_attn.weight[first..first + n].to_vec();
            if turns {
                part = part.chunks(head_dim).flat_map(neighbours).collect();
            }
            put_matrix(&mut file, &mut part, group);
            if turns {
                part = part.chunks(head_dim).flat_map(halves).collect();
            }
            block.c_attn.weight[first..first + n].clone_from_slice(&part);
        }
    }
    model.blocks.iter_mut().for_each(|block| put_matrix(&mut file, &mut block.attn_proj.weight, group));
    if version == Version::Zero {
        put(&mut file, &norms[1]);
    }
    let n_ff = model.n_ff();
    put_fc(&mut file, model, 0, n_ff, group);
    model.blocks.iter_mut().for_each(|block| put_matrix(&mut file, &mut block.mlp_proj.weight, group));
    put_fc(&mut file, model, n_ff, n_ff, group);
    if version == Version::Zero {
        put(&mut file, &scale(&model.ln_f));
        let turns = &model.choices.turns[0];
        let angles: Vec<f32> =
            (0..n_ctx).flat_map(|position| turns.iter().map(move |turn| position as f32 * *turn as f32)).collect();
        put(&mut file, &angles.iter().map(|angle| f64::from(angle.cos())).collect::<Vec<_>>());
        put(&mut file, &angles.iter().map(|angle| f64::from(angle.sin())).collect::<Vec<_>>());
    }
    if let Some(head) = &mut model.lm_head {
        put_matrix(&mut file, head, group);
    }
    file
}

/// Rows of every block's first matrix of the MLP.
fn put_fc(file: &mut Vec<u8>, model: &mut Model, first: usize, n: usize, group: Option<usize>) {
    for block in &mut model.blocks {
        let mut part: Matrix = block.c_fc.weight[first..first + n].to_vec();
        put_matrix(file, &mut part, group);
        block.c_fc.weight[first..first + n].clone_from_slice(&part);
    }
}

fn scale(norm: &Norm) -> Vec<f64> {
    norm.weight.clone().expect("a norm that scales")
}

/// A head's rows with each of the first half before its like of the second.
fn neighbours(head: &[Vec<f64>]) -> Matrix {
    let (left, right) = head.split_at(head.len() / 2);
    left.iter().zip(right).flat_map(|(a, b)| [a.clone(), b.clone()]).collect()
}

/// And back.
fn halves(head: &[Vec<f64>]) -> Matrix {
    let every_second = |first: usize| head.iter().skip(first).step_by(2).cloned();
    every_second(0).chain(every_second(1)).collect()
}

fn put(file: &mut Vec<u8>, elements: &[f64]) {
    file.extend(elements.iter().flat_map(|&x| (x as f32).to_le_bytes()));
}

fn put_matrix(file: &mut Vec<u8>, matrix: &mut Matrix, group: Option<usize>) {
    let Some(group) = group else { return put(file, &matrix.concat()) };
    let n_columns = matrix[0].len();
    let elements = matrix.concat();
    let scales: Vec<f32> = elements
        .chunks(group)
        .map(|group| (group.iter().fold(0.0, |max: f64, x| max.max(x.abs())) / 127.0) as f32)
        .collect();
    let integers: Vec<i8> =
        elements.iter().enumerate().map(|(i, x)| (x / f64::from(scales[i / group])).round() as i8).collect();
    file.extend(integers.iter().map(|&q| q as u8));
    file.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
    let rounded: Vec<f64> =
        integers.iter().enumerate().map(|(i, &q)| f64::from(f32::from(q) * scales[i / group])).collect();
    *matrix = rounded.chunks(n_columns).map(<[f64]>::to_vec).collect();
}

/// The shape of a Llama whose queries, keys and values have as many heads, and whose head is tied.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Width of the residual stream.
    pub dim: usize,
    /// Width of the MLP.
    pub hidden: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Heads.
    pub n_head: usize,
    /// Tokens.
    pub n_vocab: usize,
    /// Positions.
    pub n_ctx: usize,
}

impl Shape {
    /// A file of the first format with such a model, its weights drawn.
    pub fn random(self) -> Vec<u8> {
        let Self { dim, hidden, n_layer, n_head, n_vocab, n_ctx } = self;
        let counts = [dim, hidden, n_layer, n_head, n_head, n_vocab, n_ctx];
        let mut file: Vec<u8> = counts.iter().flat_map(|&count| (count as i32).to_le_bytes()).collect();
        let mut state = 1_u32;
        let mut draw = |file: &mut Vec<u8>, n: usize, fan_in: usize| {
            for _ in 0..n {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let uniform = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                file.extend((uniform / (fan_in as f32).sqrt()).to_le_bytes());
            }
        };
        let ones = |file: &mut Vec<u8>, n: usize| put(file, &vec![1.0; n]);
        draw(&mut file, n_vocab * dim, 1);
        ones(&mut file, n_layer * dim);
        (0..4).for_each(|_| draw(&mut file, n_layer * dim * dim, dim));
        ones(&mut file, n_layer * dim);
        for fan_in in [dim, hidden, dim] {
            draw(&mut file, n_layer * dim * hidden, fan_in);
        }
        ones(&mut file, dim);
        let pairs = dim / n_head / 2;
        let turns: Vec<f32> = (0..pairs).map(|i| 10_000f64.powf(-(i as f64) / pairs as f64) as f32).collect();
        for of in [f32::cos, f32::sin] {
            let angles = (0..n_ctx).flat_map(|position| turns.iter().map(move |turn| position as f32 * turn));
            put(&mut file, &angles.map(|angle| f64::from(of(angle))).collect::<Vec<_>>());
        }
        file
    }
}

/// A `tokenizer.bin` of so many tokens: those that every such file begins with, letters, and made-up words.
pub fn tokenizer(n_vocab: usize) -> Vec<u8> {
    let first = ["<unk>", "\n<s>\n", "\n</s>\n"].map(str::to_owned).into_iter();
    let bytes = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
    let letters = (' '..='~').map(String::from);
    let words = (0..).map(|i| format!(" w{i}"));
    let tokens: Vec<String> = first.chain(bytes).chain(letters).chain(words).take(n_vocab).collect();
    let longest = tokens.iter().map(String::len).max().unwrap_or(0) as i32;
    let mut file = longest.to_le_bytes().to_vec();
    for (id, token) in tokens.iter().enumerate() {
        file.extend((-(id as f32)).to_le_bytes());
        file.extend((token.len() as i32).to_le_bytes());
        file.extend(token.as_bytes());
    }
    file
}
