//! The board's UART, an NS16550A.
#![allow(unsafe_code)]

use core::ptr;

use emberlm_request::cable::Wire;

/// Registers are bytes, one after another.
const UART: usize = 0x1000_0000;

/// What has come, and what is to be sent.
const DATA: usize = 0;
const LINE_STATUS: usize = 5;

/// Bits of the line's status.
const HAS_RECEIVED: u8 = 1;
const CAN_SEND: u8 = 1 << 5;

/// The UART, which QEMU hands over at whatever speed.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// The UART as it is.
    pub fn start() -> Self {
        Self(())
    }
}

impl Wire for Uart {
    fn read(&mut self) -> Option<u8> {
        (read(LINE_STATUS) & HAS_RECEIVED != 0).then(|| read(DATA))
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while read(LINE_STATUS) & CAN_SEND == 0 {}
            // SAFETY: as in `read`.
            unsafe { ptr::write_volatile(ptr::without_provenance_mut::<u8>(UART).add(DATA), byte) };
        }
    }
}

fn read(register: usize) -> u8 {
    // SAFETY: the board has the UART's registers there, and only this module uses them.
    unsafe { ptr::read_volatile(ptr::without_provenance::<u8>(UART).add(register)) }
}
