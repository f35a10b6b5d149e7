//! Boards over a cable: a line that damages what goes over it, ports that are none, and an emulated board behind a
//! pseudo-terminal.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod noise;

#[cfg(target_os = "linux")]
mod at_port;
#[cfg(target_os = "linux")]
mod board;
#[cfg(target_os = "linux")]
mod pico;
#[cfg(target_os = "linux")]
mod ports;
#[cfg(target_os = "linux")]
mod terminal;
