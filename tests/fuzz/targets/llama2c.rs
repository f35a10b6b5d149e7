//! Any bytes as a file of llama2.c.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::checkpoint::run_llama2c(data);
});
