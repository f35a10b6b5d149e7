//! Any bytes as records of losses.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::records::run(data);
});
