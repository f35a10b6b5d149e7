//! Core's examples do what they say, to the bits of the command line, with a blob that is what `convert` makes.

mod common;
#[allow(dead_code, reason = "its main is not called")]
#[path = "../../core/examples/generate.rs"]
mod generate;
#[allow(dead_code, reason = "its main is not called")]
#[path = "../../core/examples/memory.rs"]
mod memory;
#[allow(dead_code, reason = "its main is not called")]
#[path = "../../core/examples/score.rs"]
mod score;

use std::fs;
use std::path::{Path, PathBuf};

use emberlm_core::kv_cache::{KvCache, KvSize, KvType};
use emberlm_core::model::Model;
use emberlm_core::scratch::{Batch, Scratch, ScratchSize};
use emberlm_core::source::Mapped;
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::letter_pairs;

fn blob() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(letter_pairs::PATH)
}

#[test]
fn the_blob_is_what_convert_makes_of_letter_pairs() {
    let included = fs::read(blob()).unwrap();
    let remade = letter_pairs::blob();
    assert!(included == remade[..], "`cargo run -p emberlm-tests --example letter_pairs` writes another");
    assert!(included.len() < 20_000, "{} bytes are too many for a package", included.len());
}

#[test]
fn scoring_gives_the_hosts_bits() {
    let (folder, mut console) = (tempfile::tempdir().unwrap(), String::new());
    let score = score::score(&mut console).unwrap();
    let text = folder.path().join("text.txt");
    fs::write(&text, score::TEXT).unwrap();
    let (blob, text) = (blob(), text.to_str().unwrap().to_owned());
    let args = ["eval", blob.to_str().unwrap(), "--text", &text, "--kv", "i8", "--convention", "disjoint"];
    let report = common::run("eval", 0, &args);
    assert_eq!(report["nll_bits"], format!("{:016x}", score.sum().to_bits()));
    assert_eq!(report["tokens_scored"], score.n());
    assert!(console.starts_with("self-test passed\n"), "{console}");
    for line in [format!("nll bits {:016x}", score.sum().to_bits()), format!("{} tokens, ", score.n())] {
        assert!(console.contains(&line), "{console}");
    }
    // Letters that were drawn blindly would have ln 27.
    assert!(score.mean().unwrap() < 0.85 * 27_f64.ln(), "{console}");
}

#[test]
fn generating_gives_the_hosts_text() {
    let mut text = String::new();
    generate::generate(&mut text).unwrap();
    let (blob, settings) = (blob(), generate::SETTINGS);
    let (temperature, top_k) = (settings.temperature.to_string(), settings.top_k.unwrap().to_string());
    let (seed, max_tokens) = (settings.seed.to_string(), generate::MAX_TOKENS.to_string());
    let keep = generate::KEEP.to_string();
    let args = ["generate", blob.to_str().unwrap(), "--prompt", generate::PROMPT, "--kv", "i8", "--when-full", "slide"];
    let options = ["--temperature", &temperature, "--top-k", &top_k, "--seed", &seed, "--max-tokens", &max_tokens];
    let report = common::run("generate", 0, &[&args, &options, ["--keep", &keep].as_slice()].concat());
    assert_eq!(text.chars().count(), generate::MAX_TOKENS);
    assert_eq!(report["text"], text);
}

/// What the example prints is enough, and a word less is not.
#[test]
fn the_memory_that_is_printed_is_what_it_takes() {
    let mut console = String::new();
    memory::memory(&mut console).unwrap();
    let bytes = AlignedBytes::new(&fs::read(blob()).unwrap());
    let model = Model::open(Mapped::new(&bytes).unwrap()).unwrap();
    let config = *model.config();
    let n_ctx = config.n_ctx as usize;
    let mut lines = console.lines();
    for (order, window) in [("layer-major", n_ctx), ("token-major", memory::TOGETHER)] {
        for kv_type in KvType::ALL {
            let line = lines.next().unwrap();
            let figures = line.strip_prefix(&format!("{order}, {} kv cache: ", kv_type.name())).expect(line);
            let figures: Vec<usize> = figures.split([' ', '+', '=']).filter_map(|word| word.parse().ok()).collect();
            let [kv, scratch, sinks, tokens, all] = figures[..] else { panic!("{line}") };
            assert_eq!(kv + scratch + sinks + tokens, all);
            let mut words = vec![0; kv / 4];
            let size = KvSize::new(kv_type, n_ctx, memory::TOGETHER);
            let cache = |words: &mut [u32]| match order {
                "layer-major" => KvCache::one_layer(size, &config, words).map(|_| ()),
                _ => KvCache::whole(size, &config, words).map(|_| ()),
            };
            cache(&mut words).unwrap();
            let less = cache(&mut words[1..]).unwrap_err();
            assert_eq!(less.need, less.have + 1);
            let batch = Batch { window, ..Batch::of(memory::TOGETHER) };
            let size = ScratchSize::new(&config, batch);
            let (mut floats, mut words) = (vec![0.0; size.floats], vec![0; size.words]);
            assert_eq!(4 * (floats.len() + words.len()), scratch);
            Scratch::new(&config, batch, &mut floats, &mut words).unwrap();
            Scratch::new(&config, batch, &mut floats[1..], &mut words).unwrap_err();
        }
    }
    assert_eq!(lines.next_back(), Some(format!("the blob: {} bytes", bytes.len()).as_str()));
}
