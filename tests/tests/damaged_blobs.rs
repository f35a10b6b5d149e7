//! A damaged blob is refused, or ends in a number or an error: never a panic, an overflow, a read outside it, or
//! steps without end.

use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use emberlm::tokenizer::byte_pairs::BytePairs;
use emberlm::tokenizer::{SectionParts, Tokenizer, section};
use emberlm_core::blob::Preamble;
use emberlm_core::config::TokenId;
use emberlm_core::format::Format;
use emberlm_core::kernel::Portable;
use emberlm_core::loss::CrossEntropy;
use emberlm_core::model::Model;
use emberlm_core::source::{Aligned, Copying, Mapped, ReadError, Source};
use emberlm_core::tokenizer::Decoder;
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blob_writer::write_checksums;
use emberlm_tests::blobs;
use emberlm_tests::models::{Biases, Spec};
use emberlm_tests::passes::{self, Memory, PassError, Way};
use proptest::prelude::*;
use rayon::prelude::*;

/// All that a blob can hold, and little of it: every bias, a head of its own, a row with a second group.
const SPEC: Spec = Spec {
    n_vocab: 9,
    n_ctx: 4,
    n_embd: 4,
    n_head: 2,
    n_layer: 1,
    n_ff: 65,
    biases: Biases { head: true, ..Biases::GPT2 },
    untied: true,
    ..Spec::SMALL
};

const TOKENS: [TokenId; 5] = [3, 1, 8, 0, 5];

/// Some of them only one of the tokenisers can encode, the last one none.
const TEXTS: [&str; 5] = ["", "ab abc\nab", "abc<|end|>a", "aé𝄞x", "zzz\u{0}"];

/// How many times the reads of the sound blob a damaged one may take.
const MAX_READS_RATIO: usize = 8;

fn characters() -> SectionParts {
    SectionParts::Chars("abcé\n𝄞 x".chars().collect())
}

fn byte_pairs() -> SectionParts {
    let tokens = ["a", "b", "c", " ", "\n", "ab", "abc", " a", "<|end|>"].map(|token| token.as_bytes().to_vec());
    let merges = vec![(0, 1), (5, 2), (3, 0)];
    SectionParts::BytePairs(BytePairs::new(tokens.to_vec(), merges).expect("sound byte pairs"))
}

/// The same model in both formats, with both kinds of tokeniser.
fn sound_blobs() -> [(&'static str, AlignedBytes); 3] {
    let model = SPEC.model(1);
    [
        ("q8, characters", blobs::of_model(&model, Format::Q8, Some(characters()))),
        ("q8, byte pairs", blobs::of_model(&model, Format::Q8, Some(byte_pairs()))),
        ("f32, no tokeniser", blobs::of_model(&model, Format::F32, None)),
    ]
}

/// A source that vouches for its reader: no read outside the blob, and no more reads than allowed.
struct Watched<S> {
    source: S,
    reads_left: usize,
}

impl<S: Source> Source for Watched<S> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn max_read(&self) -> usize {
        self.source.max_read()
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<&[u8], ReadError> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.source.len()), "{len} bytes from {offset}");
        self.reads_left = self.reads_left.checked_sub(1).expect("an end to the reads");
        self.source.read(offset, len)
    }
}

/// Opens the blob, checks it whole, and scores a window: how many reads that took, or why it ended early.
fn score<S: Source>(source: S, max_reads: usize) -> Result<usize, PassError> {
    let mut source = Watched { source, reads_left: max_reads };
    Model::open(&mut source).and_then(|mut model| model.verify_sections()).map_err(PassError::Open)?;
    Model::open(&mut source).and_then(|mut model| model.self_test()).map_err(PassError::Open)?;
    let mut sinks: Vec<_> = TOKENS[1..].iter().map(|&target| CrossEntropy::new(target)).collect();
    let way = Way { memory: Memory::OneLayer, batch: 3, step: Some(1), ..Way::PLAIN };
    passes::through(&mut source, Portable, &TOKENS[..4], &mut sinks, way)?;
    for sink in sinks {
        let nll = sink.nll().map_err(PassError::Logit)?.expect("the head pushed every logit");
        assert!(!nll.is_nan());
    }
    Ok(max_reads - source.reads_left)
}

fn score_mapped(blob: &AlignedBytes, max_reads: usize) -> Result<usize, PassError> {
    score(Mapped::new(blob).expect("an aligned blob"), max_reads)
}

fn score_copying(blob: &AlignedBytes, max_reads: usize) -> Result<usize, PassError> {
    let mut buffer = Aligned([0; 256]);
    score(Copying::new(&blob[..], &mut buffer.0).expect("a buffer"), max_reads)
}

/// Reads all of the tokeniser, and where it makes one, turns text to ids and back.
fn tokenise(blob: &AlignedBytes) {
    let Ok(model) = Model::open(Mapped::new(blob).expect("an aligned blob")) else { return };
    let Ok(Some(in_place)) = model.tokenizer() else { return };
    let bytes = |id| in_place.token_bytes(id, &mut [0; 4]).map(<[u8]>::to_vec);
    assert!((0..in_place.n_tokens()).all(|id| bytes(id).is_some()));
    assert_eq!(bytes(in_place.n_tokens()), None);
    assert_eq!(bytes(TokenId::MAX), None);
    for text in TEXTS {
        let mut ids = [0; 32];
        let Ok(n) = in_place.encode(text, &mut ids) else { continue };
        let (mut decoder, mut decoded) = (Decoder::new(in_place), String::new());
        assert!(ids[..n].iter().all(|&id| decoder.push(id, &mut decoded) == Ok(())));
        assert_eq!(decoded, text);
    }
    let Ok(parts) = section::parts(&in_place) else { return };
    let Ok(tokenizer) = Tokenizer::from_parts(parts, "a blob") else { return };
    for text in TEXTS {
        if let Ok(ids) = tokenizer.encode(text) {
            assert_eq!(tokenizer.decode(&ids).as_deref(), Ok(text));
        }
    }
    let _ = tokenizer.decode(&(0..in_place.n_tokens() + 2).collect::<Vec<_>>());
}

/// Everything that a blob is opened for; whether it came to a number.
fn use_blob(blob: &AlignedBytes, max_reads: [usize; 2]) -> bool {
    tokenise(blob);
    let mapped = score_mapped(blob, max_reads[0]);
    let copying = score_copying(blob, max_reads[1]);
    assert_eq!(mapped.is_ok(), copying.is_ok(), "{mapped:?} mapped, {copying:?} copied");
    mapped.is_ok()
}

/// The reads that the sound blob takes mapped and copied, many times over.
fn max_reads(blob: &AlignedBytes) -> [usize; 2] {
    [score_mapped(blob, usize::MAX), score_copying(blob, usize::MAX)]
        .map(|reads| MAX_READS_RATIO * reads.expect("a sound blob"))
}

fn flipped(blob: &AlignedBytes, bit: usize) -> AlignedBytes {
    let mut damaged = blob.clone();
    damaged[bit / 8] ^= 1 << (bit % 8);
    damaged
}

#[test]
fn every_truncation_is_refused() {
    for (name, blob) in sound_blobs() {
        let max_reads = max_reads(&blob);
        (0..blob.len()).into_par_iter().for_each(|len| {
            let cut = AlignedBytes::new(&blob[..len]);
            assert!(score_mapped(&cut, max_reads[0]).is_err(), "{name}, the first {len} bytes");
            assert!(score_copying(&cut, max_reads[1]).is_err(), "{name}, the first {len} bytes, copied");
        });
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for (name, blob) in sound_blobs() {
        let max_reads = max_reads(&blob);
        (0..8 * blob.len()).into_par_iter().for_each(|bit| {
            let damaged = flipped(&blob, bit);
            assert!(score_mapped(&damaged, max_reads[0]).is_err(), "{name}, bit {bit}");
            assert!(score_copying(&damaged, max_reads[1]).is_err(), "{name}, bit {bit}, copied");
        });
    }
}

#[test]
fn every_flipped_bit_under_right_checksums_ends_well() {
    for (name, blob) in sound_blobs() {
        let max_reads = max_reads(&blob);
        let [header, rest] = [0..8 * header_bytes(&blob), 8 * header_bytes(&blob)..8 * blob.len()];
        for (part, bits) in [("header", header), ("sections", rest)] {
            let n_bits = bits.len();
            let scored = AtomicUsize::new(0);
            bits.into_par_iter().for_each(|bit| {
                let mut damaged = flipped(&blob, bit);
                write_checksums(&mut damaged);
                let outcome = catch_unwind(|| use_blob(&damaged, max_reads));
                let got_number = outcome.unwrap_or_else(|_| panic!("{name}, bit {bit}: a panic"));
                scored.fetch_add(usize::from(got_number), Ordering::Relaxed);
            });
            let scored = scored.into_inner();
            println!("{name}, {part}: {n_bits} bits, {scored} came to a number");
            assert!(scored > 0 && scored < n_bits, "{name}, {part}: {scored} of {n_bits}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_bytes_in_the_header_end_well(
        which in 0..3_usize,
        writes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        static SOUND: std::sync::LazyLock<[(&str, AlignedBytes); 3]> = std::sync::LazyLock::new(sound_blobs);
        let (_, blob) = &SOUND[which];
        let mut damaged = blob.clone();
        let places = places_of_interest(blob);
        for (place, byte) in writes {
            damaged[places[place.index(places.len())]] = byte;
        }
        write_checksums(&mut damaged);
        use_blob(&damaged, max_reads(blob));
    }
}

/// Bytes of preamble and manifest.
fn header_bytes(blob: &[u8]) -> usize {
    let preamble: Preamble = postcard::from_bytes(&blob[..Preamble::BYTES]).expect("a preamble");
    Preamble::BYTES + preamble.manifest_bytes as usize
}

/// The places of preamble, manifest and tokeniser.
fn places_of_interest(blob: &AlignedBytes) -> Vec<usize> {
    let model = Model::open(Mapped::new(blob).expect("an aligned blob")).expect("a sound blob");
    let tokenizer = model.head().tokenizer;
    let tokenizer: Range<usize> = tokenizer.offset as usize..(tokenizer.offset + tokenizer.bytes) as usize;
    (0..header_bytes(blob)).chain(tokenizer).collect()
}
