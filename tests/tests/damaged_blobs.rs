//! A damaged blob is refused, or ends in a number or an error: never a panic, an overflow, a read outside it, or
//! steps without end.

use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use emberlm_core::blob::{OpenError, Preamble, Slot, TensorFault};
use emberlm_core::config::ConfigError;
use emberlm_core::model::Model;
use emberlm_core::source::Mapped;
use emberlm_tests::aligned::AlignedBytes;
use emberlm_tests::blob_writer::write_checksums;
use emberlm_tests::hostile::blob::{score_copying, score_mapped, sound_blobs, use_blob};
use proptest::prelude::*;
use rayon::prelude::*;

/// How many times the reads of the sound blob a damaged one may take.
const MAX_READS_RATIO: usize = 8;

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

/// Bytes of the header, by the offsets that `FORMAT.md` states.
#[test]
fn what_is_no_choice_is_refused_by_name() {
    let [.., (_, family)] = sound_blobs();
    let refusal = |at: usize, bytes: &[u8]| {
        let mut blob = family.clone();
        blob[at..at + bytes.len()].copy_from_slice(bytes);
        write_checksums(&mut blob);
        Model::open(Mapped::new(&blob).expect("an aligned blob")).err()
    };
    let config = |error| Some(OpenError::Config(error));
    let two = 2.0_f32.to_le_bytes();
    let cases: [(usize, &[u8], Option<OpenError>); 20] = [
        (8, &[1, 0], Some(OpenError::UnsupportedVersion(1))),
        (44, &[0], config(ConfigError::Heads)),
        (48, &[3], config(ConfigError::Heads)),
        (52, &[0], config(ConfigError::HeadWidth)),
        (64, &two, None),
        (64, &[0; 4], config(ConfigError::EmbeddingScale)),
        (68, &[0], config(ConfigError::Window)),
        (72, &[3], config(ConfigError::Rotary)),
        (72, &[6], config(ConfigError::Rotary)),
        (76, &[2], config(ConfigError::Window)),
        (76, &[1], Some(OpenError::Manifest)),
        (84, &[0], Some(OpenError::Manifest)),
        (92, &[2], Some(OpenError::Manifest)),
        (93, &[0b11111], None),
        (93, &[0b00001], Some(OpenError::Tensor(Slot::LnFWeight, TensorFault::Surplus))),
        (93, &[0b110001], Some(OpenError::Manifest)),
        (94, &[0b11], None),
        (94, &[0b101], Some(OpenError::Manifest)),
        (95, &[5], Some(OpenError::Manifest)),
        (96, &[3], Some(OpenError::Manifest)),
    ];
    for (at, bytes, expected) in cases {
        assert_eq!(refusal(at, bytes), expected, "{bytes:?} at {at}");
    }
    let message = OpenError::UnsupportedVersion(1).to_string();
    assert_eq!(message, "the blob has format version 1, this core reads 2: convert again");
    // As many frequencies as there are pairs, of both tables.
    assert_eq!(refusal(84, &[2]), Some(OpenError::Manifest));
    // Without a gate there are half as many rows.
    assert!(matches!(refusal(94, &[0]), Some(OpenError::Tensor(_, TensorFault::Shape { .. }))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_bytes_in_the_header_end_well(
        which in 0..5_usize,
        writes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        static SOUND: std::sync::LazyLock<[(&str, AlignedBytes); 5]> = std::sync::LazyLock::new(sound_blobs);
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
