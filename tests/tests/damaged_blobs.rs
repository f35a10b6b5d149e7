//! A damaged blob is refused, or ends in a number or an error: never a panic, an overflow, a read outside it, or
//! steps without end.

use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use emberlm_core::blob::Preamble;
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_bytes_in_the_header_end_well(
        which in 0..4_usize,
        writes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        static SOUND: std::sync::LazyLock<[(&str, AlignedBytes); 4]> = std::sync::LazyLock::new(sound_blobs);
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
