//! Any bytes as a `tokenizer.json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::tokenizer::run_json(data);
});
