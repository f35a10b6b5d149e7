use core::fmt;

use semihosting::io::{Stdout, Write, stdout};

/// The debugger's console.
#[derive(Debug)]
pub struct Console(Stdout);

impl Console {
    /// Opens it; `None` without a debugger.
    pub fn open() -> Option<Self> {
        stdout().ok().map(Self)
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
