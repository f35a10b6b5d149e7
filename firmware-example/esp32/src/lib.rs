//! ESP32-C3 and ESP32-C6. A feature names the chip; [`esp_hal`] starts it, and its linker script maps the memory.
#![no_std]

mod board;
mod buffers;
mod memory;
mod partition;

pub use board::Esp32;
pub use partition::model_partition;

// What happens to a panic: its message goes to the console, and the core stops.
use esp_backtrace as _;
