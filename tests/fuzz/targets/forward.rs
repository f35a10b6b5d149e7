//! Any model and settings through a forward pass.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::forward::run(data);
});
