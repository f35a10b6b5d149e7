//! A second writer of blobs, from the oracle's weights and the byte-by-byte specification in FORMAT.md alone.
//!
//! It spares property tests the way through the file system, and where it and the core's reader disagree one of them
//! has misread the specification. Its quantisers are the simplest that the formats allow.

use std::f64::consts::TAU;

use crate::aligned::AlignedBytes;
use crate::oracle::{Activation, Linear, Matrix, Model, Norm};
use crate::quantised::{Activations, Storage};

const MAGIC: &[u8; 8] = b"EMBERLM\0";
const FORMAT_VERSION: u16 = 2;
const ARITHMETIC: u16 = 3;
const PREAMBLE_BYTES: usize = 26;
const HEAD_BYTES: usize = 119;
const TEXT_BYTES: usize = 25;
const LONG_SELF_TEST_BYTES: usize = 28;
const ALIGNMENT: usize = 16;

/// No token, where there could be one.
const NO_TOKEN: u32 = u32::MAX;

/// No layers, in a pattern of one.
const NO_LAYERS: u64 = 0b10;

/// What a blob has beside its weights.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What matrix products round their inputs to.
    pub activations: Activations,
    /// The tokeniser section.
    pub tokenizer: &'a [u8],
    /// The token that texts begin with, and whether the tokeniser puts it there.
    pub bos: Option<(u32, bool)>,
    /// At most four tokens that end a text.
    pub ends: &'a [u32],
    /// Tokens of the long self-test, or 0.
    pub long_self_test: u32,
}

impl Beside<'_> {
    /// 16-bit activations, and nothing else.
    pub const NOTHING: Self =
        Self { activations: Activations::I16, tokenizer: &[], bos: None, ends: &[], long_self_test: 0 };
}

/// The blob of `model`, matrices in `storage` and vectors in f32, with `tokenizer` as its tokeniser section, 16-bit
/// activations, and a self-test that records no bits.
pub fn write(model: &Model, storage: Storage, tokenizer: &[u8]) -> AlignedBytes {
    write_for(model, storage, Activations::I16, tokenizer)
}

/// [`write()`] for other activations.
pub fn write_for(model: &Model, storage: Storage, activations: Activations, tokenizer: &[u8]) -> AlignedBytes {
    write_with(model, storage, Beside { activations, tokenizer, ..Beside::NOTHING })
}

/// [`write()`] with whatever a blob may have beside its weights.
///
/// # Panics
/// If the model does what no blob can say.
pub fn write_with(model: &Model, storage: Storage, beside: Beside<'_>) -> AlignedBytes {
    let tensors = tensors(model, storage);
    let positions = Positions::of(model);
    let (two_tokens, no_bits) = ([2, 0, 0], [0]);
    let self_test = [&two_tokens[..], &no_bits].concat();
    let count = varint(tensors.len() as u32);
    let fixed = HEAD_BYTES + TEXT_BYTES + LONG_SELF_TEST_BYTES;
    let manifest_bytes = fixed + count.len() + 17 * tensors.len() + self_test.len();
    let tensors_offset = (PREAMBLE_BYTES + manifest_bytes).next_multiple_of(ALIGNMENT);

    let mut table = count;
    let mut section = Vec::new();
    for tensor in &tensors {
        let Some(Encoded { code, rows, cols, bytes }) = tensor else {
            table.extend([0; 17]);
            continue;
        };
        table.push(*code);
        table.extend((*rows as u32).to_le_bytes());
        table.extend((*cols as u32).to_le_bytes());
        table.extend(((tensors_offset + section.len()) as u64).to_le_bytes());
        section.extend(bytes);
        section.resize(section.len().next_multiple_of(ALIGNMENT), 0);
    }
    let mut frequencies: Vec<u8> = positions.turns().flat_map(u64::to_le_bytes).collect();
    let frequencies_offset = tensors_offset + section.len();
    let sections = [(tensors_offset, section.len()), (frequencies_offset, frequencies.len())];
    frequencies.resize(frequencies.len().next_multiple_of(ALIGNMENT), 0);
    let tokenizer_offset = frequencies_offset + frequencies.len();

    let mut manifest = head(model, &positions, &beside);
    for (offset, len) in sections.into_iter().chain([(tokenizer_offset, beside.tokenizer.len())]) {
        manifest.extend((offset as u64).to_le_bytes());
        manifest.extend((len as u64).to_le_bytes());
    }
    assert_eq!(manifest.len(), HEAD_BYTES);
    manifest.extend(behind_the_head(&beside));
    assert_eq!(manifest.len(), fixed);
    manifest.extend(table);
    manifest.extend(self_test);
    assert_eq!(manifest.len(), manifest_bytes);

    let blob_bytes = tokenizer_offset + beside.tokenizer.len() + 4;
    let mut blob = MAGIC.to_vec();
    blob.extend(FORMAT_VERSION.to_le_bytes());
    blob.extend((manifest_bytes as u32).to_le_bytes());
    blob.extend((blob_bytes as u64).to_le_bytes());
    blob.extend([0; 4]);
    blob.extend(manifest);
    blob.resize(tensors_offset, 0);
    blob.extend(section);
    blob.extend(frequencies);
    blob.extend(beside.tokenizer);
    blob.extend([0; 4]);
    let mut blob = AlignedBytes::new(&blob);
    write_checksums(&mut blob);
    blob
}

/// Makes both checksums of a blob right again, where its lengths leave them a place.
pub fn write_checksums(blob: &mut [u8]) {
    let manifest_bytes = u32::from_le_bytes(blob[10..14].try_into().expect("four bytes")) as usize;
    let end = PREAMBLE_BYTES.saturating_add(manifest_bytes);
    if let Some(manifest) = blob.get(PREAMBLE_BYTES..end) {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&blob[..PREAMBLE_BYTES - 4]);
        crc.update(manifest);
        let crc = crc.finalize();
        blob[PREAMBLE_BYTES - 4..PREAMBLE_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
    let blob_bytes = u64::from_le_bytes(blob[14..22].try_into().expect("eight bytes"));
    let Some(sections_end) = usize::try_from(blob_bytes).ok().and_then(|bytes| bytes.checked_sub(4)) else { return };
    if let Some(sections) = blob.get(end..sections_end) {
        let crc = crc32fast::hash(sections);
        if let Some(place) = blob.get_mut(sections_end..sections_end + 4) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
    }
}

/// How positions are told, as a blob says it.
struct Positions<'a> {
    /// Elements of a head that rotate; 0 where positions are learned.
    dim: usize,
    /// Frequencies in radians a position.
    tables: Vec<&'a [f64]>,
    /// The layers that use the second table.
    second: u64,
}

impl<'a> Positions<'a> {
    fn of(model: &'a Model) -> Self {
        let turns = &model.choices.turns;
        // Either table may be the first: this is that of the last layer.
        let Some(first) = turns.last() else { return Self { dim: 0, tables: Vec::new(), second: NO_LAYERS } };
        assert!(model.wpe.is_empty() && turns.len() == model.blocks.len(), "one kind of positions, in every layer");
        let second = turns.iter().find(|&turns| turns != first);
        let mut tables = vec![&first[..]];
        tables.extend(second.map(|turns| &turns[..]));
        assert!(turns.iter().all(|turns| tables.contains(&&turns[..])), "at most two tables");
        Self { dim: 2 * first.len(), second: layers(turns.iter().map(|turns| turns != first)), tables }
    }

    /// What each pair turns by from one position to the next, in units of 2^-64 turns.
    fn turns(&self) -> impl Iterator<Item = u64> {
        self.tables.iter().copied().flatten().map(|frequency| {
            let turns = (frequency / TAU * 2f64.powi(64)).round();
            assert!((0.0..2f64.powi(64)).contains(&turns), "less than a turn");
            turns as u64
        })
    }
}

/// The layers for which `is_one` holds, in a pattern as long as the model: a bit each, the lowest first, and one more.
fn layers(is_one: impl DoubleEndedIterator<Item = bool> + Clone) -> u64 {
    match is_one.clone().any(|is_one| is_one) {
        true => is_one.rev().fold(1, |bits, is_one| bits << 1 | u64::from(is_one)),
        false => NO_LAYERS,
    }
}

/// The manifest up to its sections.
fn head(model: &Model, positions: &Positions<'_>, beside: &Beside<'_>) -> Vec<u8> {
    let choices = &model.choices;
    let mut lens = choices.windows.iter().copied().flatten();
    let window = lens.next().unwrap_or(0);
    assert!(lens.all(|len| len == window) && choices.scales.is_empty(), "what a blob can say");

    let mut bytes = ARITHMETIC.to_le_bytes().to_vec();
    let shape = [model.n_vocab(), model.n_ctx, model.n_embd(), model.blocks.len()];
    let heads = [model.n_head, model.n_kv_head(), model.head_dim(), model.n_ff()];
    bytes.extend(shape.iter().chain(&heads).flat_map(|&count| (count as u32).to_le_bytes()));
    bytes.extend((model.epsilon as f32).to_le_bytes());
    bytes.extend((choices.embedding_scale as f32).to_le_bytes());
    bytes.extend([window, positions.dim].iter().flat_map(|&count| (count as u32).to_le_bytes()));
    bytes.extend(layers(choices.windows.iter().map(Option::is_some)).to_le_bytes());
    bytes.extend(positions.second.to_le_bytes());
    let norms = &choices.norms;
    let places = [
        !norms.none_before,
        !norms.after.is_empty(),
        norms.embedding.is_some(),
        !norms.heads.is_empty(),
        !norms.none_last,
    ];
    let places = (0..).zip(places).fold(0, |bits, (bit, is_there)| bits | u8::from(is_there) << bit);
    let activation = match model.activation {
        Activation::GeluTanh => 0,
        Activation::GeluErf => 1,
        Activation::Relu => 2,
        Activation::ReluSquared => 3,
        Activation::Silu => 4,
    };
    let block = u8::from(choices.gated) + 2 * u8::from(choices.parallel);
    bytes.extend([choices.rms_norm.into(), places, block, activation, beside.activations.code()]);
    bytes
}

/// The tokens that begin and end a text, and the long self-test, whose sums are 0.
fn behind_the_head(beside: &Beside<'_>) -> Vec<u8> {
    let (bos, adds_bos) = beside.bos.unwrap_or((NO_TOKEN, false));
    let ends = (0..4).map(|i| beside.ends.get(i).copied().unwrap_or(NO_TOKEN));
    let pruned_from = 0_u32;
    let mut bytes = bos.to_le_bytes().to_vec();
    bytes.push(adds_bos.into());
    bytes.extend(ends.chain([pruned_from, beside.long_self_test]).flat_map(u32::to_le_bytes));
    bytes.extend([0; 3 * 8]);
    bytes
}

struct Encoded {
    code: u8,
    rows: usize,
    cols: usize,
    bytes: Vec<u8>,
}

/// Every tensor in the table's order; `None` for those that the model lacks.
fn tensors(model: &Model, storage: Storage) -> Vec<Option<Encoded>> {
    let matrix = |rows: &Matrix| (!rows.is_empty()).then(|| encode(rows, storage));
    let vector = |vector: &Option<Vec<f64>>| vector.as_ref().map(|row| encode(&vec![row.clone()], Storage::F32));
    let norm = |norm: &Norm| [vector(&norm.weight), vector(&norm.bias)];
    let linear = |linear: &Linear| [matrix(&linear.weight), vector(&linear.bias)];

    let mut all = vec![matrix(&model.wte), matrix(&model.wpe)];
    all.extend(norm(&model.ln_f));
    all.extend([model.lm_head.as_ref().and_then(matrix), vector(&model.lm_head_bias)]);
    let other = &model.choices.norms;
    all.extend(other.embedding.as_ref().map_or([None, None], norm));
    for (i, block) in model.blocks.iter().enumerate() {
        all.extend(norm(&block.ln_1));
        all.extend(linear(&block.c_attn));
        all.extend(linear(&block.attn_proj));
        all.extend(norm(&block.ln_2));
        all.extend(match model.choices.gated {
            true => linear(&in_runs(&block.c_fc)),
            false => linear(&block.c_fc),
        });
        all.extend(linear(&block.mlp_proj));
        all.extend(other.heads.get(i).map_or([None, None], |norms| norms.each_ref().map(|norm| vector(&norm.weight))));
        all.extend(other.after.get(i).map_or([const { None }; 4], |[attention, mlp]| {
            let ([a, b], [c, d]) = (norm(attention), norm(mlp));
            [a, b, c, d]
        }));
    }
    all
}

/// Eight rows of the gate, then eight of the hidden layer, and so on; of the last ones fewer.
fn in_runs(fc: &Linear) -> Linear {
    fn of<T: Clone>(rows: &[T]) -> Vec<T> {
        let n_ff = rows.len() / 2;
        let run = |start: usize| start..n_ff.min(start + 8);
        let starts = (0..n_ff).step_by(8);
        starts.flat_map(|start| [&rows[run(start)], &rows[n_ff..][run(start)]].concat()).collect()
    }
    Linear { weight: of(&fc.weight), bias: fc.bias.as_ref().map(|bias| of(bias)) }
}

fn encode(rows: &Matrix, storage: Storage) -> Encoded {
    let bytes = rows.iter().flat_map(|row| storage.encode_row(row)).collect();
    Encoded { code: storage.code(), rows: rows.len(), cols: rows[0].len(), bytes }
}

/// Seven bits a byte, the lowest first, the top bit set on all but the last.
fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob_reader;
    use crate::models::Spec;

    #[test]
    fn the_core_reads_what_is_written() {
        for spec in Spec::all() {
            let model = spec.model(9);
            let beside = Beside {
                tokenizer: b"tokeniser",
                bos: Some((0, true)),
                ends: &[0],
                long_self_test: 3,
                ..Beside::NOTHING
            };
            let blob = write_with(&model, Storage::F32, beside);
            let mut read = blob_reader::read(&blob);
            // Angles are stored to 2^-64 of a turn, and here in 53 bits.
            let turns = |model: &Model| model.choices.turns.concat();
            for (read, turns) in turns(&read).iter().zip(turns(&model)) {
                assert!((read - turns).abs() <= 1e-15 * turns, "{read} for {turns} of {spec:?}");
            }
            read.choices.turns.clone_from(&model.choices.turns);
            assert_eq!(read, model, "{spec:?}");
        }
    }

    #[test]
    fn weights_are_off_by_little() {
        for (spec, storage) in Spec::all().into_iter().flat_map(|spec| Storage::ALL.map(|storage| (spec, storage))) {
            let model = spec.model(10);
            let stored = blob_reader::read(&write(&model, storage, &[]));
            for (row, stored) in model.wte.iter().zip(&stored.wte) {
                let largest = row.iter().fold(0.0, |max: f64, weight| max.max(weight.abs()));
                for (weight, stored) in row.iter().zip(stored) {
                    assert!((weight - stored).abs() <= storage.most_error(largest, largest), "{storage:?} of {spec:?}");
                }
            }
        }
    }
}
