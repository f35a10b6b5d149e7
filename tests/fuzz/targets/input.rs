//! Any bytes as a text or rows of ids.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::text::run(data);
});
