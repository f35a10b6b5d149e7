//! Tokenizers as models are published with them, cut: on host and device the texts that they were cut by have their tokens,
//! and all others come back as the whole would have them.

use emberlm::text::tokenizer::prune::full_ids::{Vocabulary, full_ids};
use emberlm::text::tokenizer::prune::{Pruned, count, prune};
use emberlm::text::tokenizer::{Tokenizer as HostTokenizer, section};
use emberlm_core::config::TokenId;
use emberlm_core::tokenizer::Tokenizer;
use emberlm_tests::fixtures;
use emberlm_tests::published::PUBLISHED;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const TORTURE: &str = include_str!("../fixtures/torture.txt");

/// Texts of letters, spaces, and any characters, all of which are in every normal form.
fn random_texts() -> Vec<String> {
    let mut rng = Pcg64::seed_from_u64(9);
    let ranges = [
        ('\u{20}', '\u{7E}'),
        (' ', ' '),
        ('\u{400}', '\u{44F}'),
        ('\u{4E00}', '\u{9FA5}'),
        ('\u{1F300}', '\u{1F5FF}'),
    ];
    let mut text = || {
        let length = rng.random_range(0..40);
        (0..length)
            .map(|_| {
                let (first, last) = ranges[rng.random_range(0..ranges.len())];
                rng.random_range(first..=last)
            })
            .collect()
    };
    (0..60).map(|_| text()).collect()
}

#[test]
fn every_published_tokenizer_can_be_cut() {
    let play: String = fixtures::as_you_like_it().chars().take(3000).collect();
    let others = random_texts();
    for published in PUBLISHED.iter() {
        let name = published.name;
        let full = HostTokenizer::from_tokenizer_json(&published.json, name).expect(name);
        let parts = full.section_parts().expect(name);
        let n_vocab = full.n_vocab() as u32 + 3;
        let row = full.encode(&play).expect(name);
        let counts = count([row.as_slice()], n_vocab);
        let need = prune(&parts, n_vocab, &[], &counts, 0).expect_err(name).need;
        let needed = prune(&parts, n_vocab, &[], &counts, n_vocab).expect(name).needed;
        for keep in [need, needed.midpoint(need), needed, needed.midpoint(n_vocab)] {
            let Pruned { parts: left, kept, .. } = prune(&parts, n_vocab, &[], &counts, keep).expect(name);
            let section = section::encode(&left);
            let device = Tokenizer::open(&section, keep).expect(name);
            assert_eq!(section::parts(&device).expect(name), left, "{name}");
            let short = HostTokenizer::from_parts(left.clone(), name).expect(name);
            if keep >= needed {
                let ids = short.encode(&play).expect(name);
                let back: Vec<TokenId> = ids.iter().map(|&id| kept.ids()[id as usize]).collect();
                assert!(back == row, "{name}: {keep}");
                let mut tokens = vec![0; 2 * play.len() + 1];
                let n = device.encode(&play, &mut tokens).expect(name);
                assert!(tokens[..n] == ids, "{name}: {keep} on the device");
            }
            for text in others.iter().map(String::as_str).chain([TORTURE, ""]) {
                let [whole, cut] = [&full, &short]
                    .map(|tokenizer| tokenizer.decode(&tokenizer.encode(text).expect(name)).expect(name));
                assert_eq!(cut, whole, "{name}: {keep}");
            }
            let found =
                full_ids(Vocabulary { parts: &left, n_vocab: keep }, Vocabulary { parts: &parts, n_vocab }, &[]);
            assert_eq!(found.expect(name), kept, "{name}");
        }
    }
}
