//! Pages for those who write a program: nothing here is code.

#[doc = include_str!("kernels.md")]
pub mod kernels {}

#[doc = include_str!("memory.md")]
pub mod memory {}
