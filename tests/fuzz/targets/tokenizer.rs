//! Any bytes as a tokeniser section.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::tokenizer::run(data);
});
