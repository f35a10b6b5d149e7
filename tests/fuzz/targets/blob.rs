//! Any bytes as a blob.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::blob::run(data);
});
