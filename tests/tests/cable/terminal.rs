//! A pseudo-terminal, which a port is to whom opens it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use serial2::SerialPort;

/// Both ends of a pseudo-terminal: one that the test has, and one that is a port with a name.
pub struct Terminal {
    pub end: SerialPort,
    pub path: PathBuf,
    /// Keeps it, whoever closes it.
    _port: SerialPort,
}

impl Terminal {
    pub fn new() -> Self {
        let (end, port) = SerialPort::pair().unwrap();
        let path = fs::read_link(format!("/proc/self/fd/{}", port.as_fd().as_raw_fd())).unwrap();
        Self { end, path, _port: port }
    }
}
