//! A second writer of blobs, from the oracle's weights and the byte-by-byte specification in FORMAT.md alone.
//!
//! It spares property tests the way through the file system, and where it and the core's reader disagree one of them
//! has misread the specification. Its q8 quantiser is the simplest that the format allows.

use half::bf16;

use crate::aligned::AlignedBytes;
use crate::oracle::{Activation, Gpt2, Linear, Matrix};
use crate::quantised::{GROUP, q8_row_stride};

/// How matrices are stored; vectors are f32 always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Format code 1.
    F32,
    /// Format code 2.
    Q8,
}

const MAGIC: &[u8; 8] = b"EMBERLM\0";
const FORMAT_VERSION: u16 = 1;
const ARITHMETIC: u16 = 1;
const PREAMBLE_BYTES: usize = 26;
const ALIGNMENT: usize = 16;

/// The blob of `model` with `tokenizer` as its tokeniser section and a self-test that records no bits.
pub fn write(model: &Gpt2, storage: Storage, tokenizer: &[u8]) -> AlignedBytes {
    let tensors = tensors(model, storage);
    let manifest_bytes = 2 + 29 + 1 + 32 + varint(tensors.len() as u32).len() + 17 * tensors.len() + 4;
    let tensors_offset = (PREAMBLE_BYTES + manifest_bytes).next_multiple_of(ALIGNMENT);

    let mut table = varint(tensors.len() as u32);
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

    let mut manifest = head(model);
    for (offset, len) in [(tensors_offset, section.len()), (tensors_offset + section.len(), tokenizer.len())] {
        manifest.extend((offset as u64).to_le_bytes());
        manifest.extend((len as u64).to_le_bytes());
    }
    manifest.extend(table);
    let (two_tokens, no_bits) = ([2, 0, 0], [0]);
    manifest.extend(two_tokens);
    manifest.extend(no_bits);
    assert_eq!(manifest.len(), manifest_bytes);

    let blob_bytes = tensors_offset + section.len() + tokenizer.len() + 4;
    let mut blob = MAGIC.to_vec();
    blob.extend(FORMAT_VERSION.to_le_bytes());
    blob.extend((manifest_bytes as u32).to_le_bytes());
    blob.extend((blob_bytes as u64).to_le_bytes());
    blob.extend([0; 4]);
    blob.extend(manifest);
    blob.resize(tensors_offset, 0);
    blob.extend(section);
    blob.extend(tokenizer);
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

/// The manifest up to the section table.
fn head(model: &Gpt2) -> Vec<u8> {
    let mut bytes = ARITHMETIC.to_le_bytes().to_vec();
    let counts = [model.n_vocab(), model.n_ctx(), model.n_embd(), model.n_head, model.blocks.len(), model.n_ff()];
    bytes.extend(counts.iter().flat_map(|&count| (count as u32).to_le_bytes()));
    bytes.extend((model.layer_norm_epsilon as f32).to_le_bytes());
    bytes.push(match model.activation {
        Activation::GeluTanh => 0,
        Activation::GeluErf => 1,
    });
    let activations_i16 = 0;
    bytes.push(activations_i16);
    bytes
}

struct Encoded {
    code: u8,
    rows: usize,
    cols: usize,
    bytes: Vec<u8>,
}

/// Every tensor in the table's order; `None` for those that the model lacks.
fn tensors(model: &Gpt2, storage: Storage) -> Vec<Option<Encoded>> {
    let matrix = |rows: &Matrix| Some(encode(rows, storage));
    let vector = |vector: &Vec<f64>| Some(encode(&vec![vector.clone()], Storage::F32));
    let optional = |bias: &Option<Vec<f64>>| bias.as_ref().and_then(vector);
    let linear = |linear: &Linear| [matrix(&linear.weight), optional(&linear.bias)];

    let mut all = vec![
        matrix(&model.wte),
        matrix(&model.wpe),
        vector(&model.ln_f.weight),
        optional(&model.ln_f.bias),
        model.lm_head.as_ref().and_then(matrix),
        optional(&model.lm_head_bias),
    ];
    for block in &model.blocks {
        all.extend([vector(&block.ln_1.weight), optional(&block.ln_1.bias)]);
        all.extend(linear(&block.c_attn));
        all.extend(linear(&block.attn_proj));
        all.extend([vector(&block.ln_2.weight), optional(&block.ln_2.bias)]);
        all.extend(linear(&block.c_fc));
        all.extend(linear(&block.mlp_proj));
    }
    all
}

fn encode(rows: &Matrix, storage: Storage) -> Encoded {
    let encode_row: fn(&Vec<f64>) -> Vec<u8> = match storage {
        Storage::F32 => |row| row.iter().flat_map(|&weight| (weight as f32).to_le_bytes()).collect(),
        Storage::Q8 => |row| encode_q8_row(row),
    };
    let code = match storage {
        Storage::F32 => 1,
        Storage::Q8 => 2,
    };
    Encoded { code, rows: rows.len(), cols: rows[0].len(), bytes: rows.iter().flat_map(encode_row).collect() }
}

/// Scales that are just large enough: the row's lets 255 reach its largest weight, each group's lets 127 reach its own.
fn encode_q8_row(row: &[f64]) -> Vec<u8> {
    let largest = |weights: &[f64]| weights.iter().fold(0.0, |max: f64, weight| max.max(weight.abs()));
    let row_scale = bf16::from_f64(largest(row) / (127.0 * 255.0));
    let step = f64::from(row_scale);
    let scale_of = |group: &[f64]| if step > 0.0 { (largest(group) / (127.0 * step)).ceil().min(255.0) } else { 0.0 };
    let scales: Vec<f64> = row.chunks(GROUP).map(scale_of).collect();
    let weights = row.chunks(GROUP).zip(&scales).flat_map(|(group, &scale)| {
        let unit = if scale > 0.0 { step * scale } else { 1.0 };
        group.iter().map(move |weight| (weight / unit).round().clamp(-127.0, 127.0) as i8 as u8)
    });
    let mut bytes: Vec<u8> = weights.collect();
    bytes.extend(scales.iter().map(|&scale| scale as u8));
    bytes.resize(q8_row_stride(row.len()) - 2, 0);
    bytes.extend(row_scale.to_le_bytes());
    bytes
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
        for spec in Spec::catalogue() {
            let model = spec.model(9);
            let blob = write(&model, Storage::F32, b"tokeniser");
            let mut expected = model.clone();
            expected.layer_norm_epsilon = f64::from(model.layer_norm_epsilon as f32);
            assert_eq!(blob_reader::read(&blob), expected, "{spec:?}");
        }
    }

    #[test]
    fn q8_is_off_by_little_more_than_half_a_step() {
        for spec in Spec::catalogue() {
            let model = spec.model(10);
            let stored = blob_reader::read(&write(&model, Storage::Q8, &[]));
            for (row, stored) in model.wte.iter().zip(&stored.wte) {
                let largest = row.iter().fold(0.0, |max: f64, weight| max.max(weight.abs()));
                for (weight, stored) in row.iter().zip(stored) {
                    assert!((weight - stored).abs() <= largest * 0.51 / 127.0 + largest / 255.0, "{spec:?}");
                }
            }
        }
    }
}
