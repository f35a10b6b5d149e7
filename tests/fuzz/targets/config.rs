//! Any bytes as a configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::checkpoint::run_config(data);
});
