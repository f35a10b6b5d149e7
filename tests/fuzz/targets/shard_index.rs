//! Any bytes as an index of shards.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::checkpoint::run_index(data);
});
