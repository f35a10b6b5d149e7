//! Any bytes as a checkpoint's file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::checkpoint::run(data);
});
