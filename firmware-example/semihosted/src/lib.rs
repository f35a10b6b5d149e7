//! What boards share whose console is semihosting: a debugger's, or an emulator's.
//!
//! A board's linker script defines the symbols that [`memory`] names, and the board calls [`memory::init`] first.
#![no_std]

mod buffers;
mod console;
mod exit;
mod file;
pub mod memory;

pub use buffers::take as take_buffers;
pub use console::Console;
pub use exit::{exit, print_fault};
pub use file::HostFile;
