//! Any bytes as a name map.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    emberlm_tests::hostile::checkpoint::run_name_map(data);
});
