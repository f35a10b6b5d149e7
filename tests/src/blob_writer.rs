//! A second writer of blobs, from the oracle's weights and the byte-by-byte specification in FORMAT.md alone.
//!
//! It spares property tests the way through the file system, and where it and the core's reader disagree one of them
//! has misread the specification. Its quantisers are the simplest that the formats allow.

use crate::aligned::AlignedBytes;
use crate::oracle::{Activation, Gpt2, Linear, Matrix};
use crate::quantised::{Activations, Storage};

const MAGIC: &[u8; 8] = b"EMBERLM\0";
const FORMAT_VERSION: u16 = 1;
const ARITHMETIC: u16 = 3;
const PREAMBLE_BYTES: usize = 26;
const ALIGNMENT: usize = 16;

/// The blob of `model`, matrices in `storage` and vectors in f32, with `tokenizer` as its tokeniser section, 16-bit
/// activations, and a self-test that records no bits.
pub fn write(model: &Gpt2, storage: Storage, tokenizer: &[u8]) -> AlignedBytes {
    write_for(model, storage, Activations::I16, tokenizer)
}

/// [`write()`] for other activations.
pub fn write_for(model: &Gpt2, storage: Storage, activations: Activations, tokenizer: &[u8]) -> AlignedBytes {
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

    let mut manifest = head(model, activations);
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
fn head(model: &Gpt2, activations: Activations) -> Vec<u8> {
    let mut bytes = ARITHMETIC.to_le_bytes().to_vec();
    let counts = [model.n_vocab(), model.n_ctx(), model.n_embd(), model.n_head, model.blocks.len(), model.n_ff()];
    bytes.extend(counts.iter().flat_map(|&count| (count as u32).to_le_bytes()));
    bytes.extend((model.layer_norm_epsilon as f32).to_le_bytes());
    bytes.push(match model.activation {
        Activation::GeluTanh => 0,
        Activation::GeluErf => 1,
        other => panic!("a blob has no {other:?}"),
    });
    bytes.push(activations.code());
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
        for spec in Spec::catalogue() {
            let model = spec.model(9);
            let blob = write(&model, Storage::F32, b"tokeniser");
            let mut expected = model.clone();
            expected.layer_norm_epsilon = f64::from(model.layer_norm_epsilon as f32);
            assert_eq!(blob_reader::read(&blob), expected, "{spec:?}");
        }
    }

    #[test]
    fn weights_are_off_by_little() {
        for (spec, storage) in
            Spec::catalogue().into_iter().flat_map(|spec| Storage::ALL.map(|storage| (spec, storage)))
        {
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
