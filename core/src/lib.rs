//! GPT-2 inference and streaming cross-entropy over quantised weights.
#![no_std]
#![deny(unsafe_code)]
