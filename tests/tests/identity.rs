//! What tells blobs apart: one number that differs with any part of them.

use std::collections::BTreeSet;

use emberlm::engine::{Memory, run};
use emberlm::text::tokenizer::{SectionParts, section};
use emberlm_core::kernel::Portable;
use emberlm_core::kv_cache::KvType;
use emberlm_core::model::Model;
use emberlm_core::planner::Order;
use emberlm_core::source::{Aligned, Copying, Mapped};
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blob_writer::{write_checksums, write_for};
use emberlm_tests::models::Spec;
use emberlm_tests::oracle::{self, Activation};
use emberlm_tests::passes;
use emberlm_tests::quantised::{Activations, Storage};

/// The number by `FORMAT.md`, once it is sure that both checksums are right.
fn by_the_format(blob: &[u8]) -> u32 {
    let mut sealed = AlignedBytes::new(blob);
    write_checksums(&mut sealed);
    assert_eq!(&sealed[..], blob, "both checksums are right");
    crc32fast::hash(&[&blob[22..26], &blob[blob.len() - 4..]].concat())
}

/// The number by core, over every source and from a session.
fn by_core(blob: &[u8]) -> u32 {
    let mut model = Model::open(Mapped::new(blob).unwrap()).unwrap();
    let crc32 = model.crc32().unwrap();
    let mut buffer = Aligned([0; 256]);
    let mut copied = Model::open(Copying::new(blob, &mut buffer.0).unwrap()).unwrap();
    assert_eq!(copied.crc32(), Ok(crc32));
    let mut memory = Memory::new(model.config(), run(Order::TokenMajor, KvType::F32, 1, 1)).unwrap();
    assert_eq!(memory.session(model, Portable).model_crc32(), Ok(crc32));
    crc32
}

#[test]
fn every_part_of_a_blob_has_its_say() {
    let plain = Spec::SMALL.model(1);
    let changed = |change: fn(&mut oracle::Model)| {
        let mut model = plain.clone();
        change(&mut model);
        model
    };
    let characters = |text: &str| section::encode(&SectionParts::Chars(text.chars().collect()));
    let text = characters("abc");
    let write = |model: &oracle::Model, text: &[u8]| write_for(model, Storage::Q8, Activations::I16, text);
    let mut self_test = write(&plain, &text);
    // The last token, before the number of known sums.
    let last = manifest_end(&self_test) - 2;
    self_test[last] = 1;
    write_checksums(&mut self_test);
    let blobs = [
        write(&plain, &text),
        write_for(&plain, Storage::Q8, Activations::I8, &text),
        write_for(&plain, Storage::Q8, Activations::F32, &text),
        write_for(&plain, Storage::Q6, Activations::I16, &text),
        write(&changed(|model| model.epsilon = 2e-5), &text),
        write(&changed(|model| model.activation = Activation::GeluErf), &text),
        write(&changed(|model| model.n_head = 2), &text),
        write(&changed(|model| model.wte[60][31] += 0.5), &text),
        write(&changed(|model| model.blocks[1].mlp_proj.weight[3][5] += 0.5), &text),
        write(&plain, &characters("abd")),
        write(&plain, &[]),
        self_test,
    ];
    let crcs: BTreeSet<u32> = blobs.iter().map(|blob| by_core(blob)).collect();
    assert_eq!(crcs.len(), blobs.len());
    for blob in &blobs {
        assert_eq!(by_core(blob), by_the_format(blob));
        assert!(passes::n_vocab(blob).is_ok());
    }
}

fn manifest_end(blob: &[u8]) -> usize {
    26 + u32::from_le_bytes(blob[10..14].try_into().unwrap()) as usize
}
