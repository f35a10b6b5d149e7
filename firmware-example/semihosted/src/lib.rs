//! What boards share whose console is semihosting: a debugger's, or an emulator's.
//!
//! A board's linker script defines the symbols that [`memory`] names. The board's first act is to paint its stack.
#![no_std]

mod board;
mod console;
mod exit;
mod file;
#[cfg(target_arch = "arm")]
mod hard_fault;
#[cfg(feature = "heap")]
pub mod heap;
pub mod memory;
#[cfg(target_arch = "arm")]
pub mod systick;

pub use board::{Clock, Machine, Semihosted};
pub use console::Console;
pub use exit::{exit, print_fault};
pub use file::HostFile;
#[cfg(target_arch = "arm")]
pub use systick::SysTick;
