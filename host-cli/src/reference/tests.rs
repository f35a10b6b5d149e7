//! The reference on the tiny checkpoints: what it refuses, and that no way of asking changes an answer.

use super::{Decoder, Reference, ReferenceError, ops};
use crate::checkpoint::Layout;
use crate::checkpoint::tests::build::{Draft, Stored, value};
use emberlm_core::blob::Slot;

#[test]
fn every_layout_and_orientation_gives_the_same_hidden_states() {
    let hidden = |layout: Layout| {
        let mut draft = Draft::new(&layout, "transformer.");
        draft.set("activation_function", "gelu".into());
        Reference::new(&draft.open().unwrap()).hidden(&[3, 1, 6, 0, 2]).unwrap()
    };
    let expected = hidden(Layout::HuggingFace);
    for layout in [Layout::NanoGpt, Layout::Scratch] {
        for (value, expected) in hidden(layout).into_iter().zip(&expected) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
    }
}

#[test]
fn losses_are_the_softmax_of_the_head_rows() {
    let checkpoint = Draft::new(&Layout::Scratch, "").open().unwrap();
    let reference = Reference::new(&checkpoint);
    let tokens = [5, 0, 4, 4, 1, 3];
    let hidden = reference.hidden(&tokens[..5]).unwrap();
    let mut dense = [0.0; 5 * 7];
    reference.head_rows(&hidden, 0, &mut dense);
    let mut middle = [0.0; 3];
    reference.head_rows(&hidden[2 * 4..3 * 4], 2, &mut middle);
    for (logit, expected) in middle.iter().zip(&dense[2 * 7 + 2..]) {
        assert!((logit - expected).abs() < 1e-5);
    }
    let mut nlls = Vec::new();
    reference.nll(&tokens, 2, |nll| nlls.push(nll)).unwrap();
    assert_eq!(nlls.len(), 3);
    for (nll, position) in nlls.iter().zip(2..) {
        let row = &dense[position * 7..][..7];
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        let expected = sum.ln() - f64::from(row[tokens[position + 1] as usize]);
        assert!((nll - expected).abs() < 1e-5, "{nll} {expected}");
    }
}

#[test]
fn tokens_that_cannot_be_scored_are_refused() {
    let checkpoint = Draft::hf().open().unwrap();
    let reference = Reference::new(&checkpoint);
    let nll = |tokens: &[u32]| reference.nll(tokens, 0, |_| {}).unwrap_err();
    assert_eq!(nll(&[]), ReferenceError::Empty);
    assert_eq!(nll(&[1]), ReferenceError::Empty);
    assert_eq!(nll(&[0; 7]), ReferenceError::WindowTooLong { need: 6, have: 5 });
    assert_eq!(nll(&[0, 7, 1]), ReferenceError::TokenOutOfRange { token: 7, n_vocab: 7 });
    assert_eq!(nll(&[0, 1, 9]), ReferenceError::TokenOutOfRange { token: 9, n_vocab: 7 });
}

#[test]
fn losses_that_overflow_are_errors() {
    let mut draft = Draft::hf();
    let scale = Stored::f32(&[4], &[f32::MAX; 4]);
    draft.tensors.insert("transformer.ln_f.weight".to_owned(), scale);
    let checkpoint = draft.open().unwrap();
    let error = Reference::new(&checkpoint).nll(&[0, 1, 2], 1, |_| {}).unwrap_err();
    assert_eq!(error, ReferenceError::NotFinite { position: 1 });
}

#[test]
fn embeddings_are_scaled_where_they_are_embeddings() {
    let draft = Draft::new(&Layout::Scratch, "");
    let checkpoint = draft.open().unwrap();
    let mut scaled = checkpoint.architecture().clone();
    scaled.config.embedding_scale = 2.0;
    let scaled = Reference { architecture: &scaled, ..Reference::new(&checkpoint) };
    let mut doubled = draft.clone();
    for (index, bytes) in doubled.tensors.get_mut("tok_emb.weight").unwrap().bytes.chunks_mut(4).enumerate() {
        bytes.copy_from_slice(&(2.0 * value(Slot::Wte, index)).to_le_bytes());
    }
    let doubled = doubled.open().unwrap();
    let tokens = [3, 1, 6, 0, 2];
    assert_eq!(scaled.hidden(&tokens), Reference::new(&doubled).hidden(&tokens));
    assert_ne!(scaled.hidden(&tokens), Reference::new(&checkpoint).hidden(&tokens));
}

#[test]
fn parallel_blocks_add_both_to_what_both_start_from() {
    let checkpoint = Draft::hf().open().unwrap();
    let mut parallel = checkpoint.architecture().clone();
    parallel.config.parallel = true;
    let reference = Reference { architecture: &parallel, ..Reference::new(&checkpoint) };
    let tokens = [3, 1, 6, 0, 2];
    let embeddings = (0..).zip(tokens).flat_map(|(position, token)| reference.embedding(token, position));
    let mut x: Vec<f64> = embeddings.collect();
    for (layer, block) in (0..).zip(&reference.blocks) {
        let before = x.clone();
        ops::add(&mut x, &block.attn_proj.apply(&reference.attend(layer, block.qkv.apply(&block.ln_1.apply(&before)))));
        ops::add(&mut x, &block.mlp_proj.apply(&reference.activate(block.fc.apply(&block.ln_2.apply(&before)))));
    }
    let (expected, hidden) = (reference.ln_f.apply(&x), reference.hidden(&tokens).unwrap());
    assert!(hidden.iter().zip(&expected).all(|(x, y)| (x - y).abs() < 1e-5));
    assert_ne!(hidden, Reference::new(&checkpoint).hidden(&tokens).unwrap());
    let mut decoder = Decoder::new(&reference, 1, 5);
    for (position, token) in tokens.into_iter().enumerate() {
        let (stepped, mut whole) = (decoder.step(&[token]), [0.0; 7]);
        reference.head_rows(&hidden[position * 4..][..4], 0, &mut whole);
        assert!(stepped.iter().zip(whole).all(|(x, y)| (x - y).abs() < 1e-5), "{position}");
    }
}
