//! The console, both ways.

use core::fmt;

use emberlm_firmware::Input;
use semihosting::io::{Read, Stdin, Stdout, Write, stdin, stdout};

/// The debugger's console.
#[derive(Debug)]
pub struct Console {
    output: Stdout,
    /// Opened when the first byte is read.
    input: Option<Stdin>,
}

impl Console {
    /// Opens it; `None` without a debugger.
    pub fn open() -> Option<Self> {
        Some(Self { output: stdout().ok()?, input: None })
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.output.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl Input for Console {
    fn read_byte(&mut self) -> Result<Option<u8>, fmt::Error> {
        if self.input.is_none() {
            self.input = Some(stdin().map_err(|_| fmt::Error)?);
        }
        let input = self.input.as_mut().ok_or(fmt::Error)?;
        let mut byte = [0];
        let n = input.read(&mut byte).map_err(|_| fmt::Error)?;
        Ok((n > 0).then_some(byte[0]))
    }
}
