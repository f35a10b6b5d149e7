//! UART0 of the boards' FPGA images: Arm's CMSDK UART, which holds one byte each way.
#![allow(unsafe_code)]

use core::ptr;

use emberlm_request::cable::Wire;

use crate::board::{CLOCK_MHZ, UART0};

/// Registers, by their offsets in words.
const DATA: usize = 0;
const STATE: usize = 1;
const CONTROL: usize = 2;
const BAUD_DIVIDER: usize = 4;

/// Bits of the state.
const IS_SENDING: u32 = 1;
const HAS_RECEIVED: u32 = 2;

/// Of control: send and receive.
const BOTH_WAYS: u32 = 0b11;

const BAUD: u64 = 115_200;

/// UART0.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Switches it on, at 115,200 bits a second.
    pub fn start() -> Self {
        write(BAUD_DIVIDER, (1_000_000 * CLOCK_MHZ / BAUD) as u32);
        write(CONTROL, BOTH_WAYS);
        Self(())
    }
}

impl Wire for Uart {
    fn read(&mut self) -> Option<u8> {
        (read(STATE) & HAS_RECEIVED != 0).then(|| read(DATA) as u8)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while read(STATE) & IS_SENDING != 0 {}
            write(DATA, byte.into());
        }
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: the board has the UART's registers there, and only this module uses them.
    unsafe { ptr::read_volatile(ptr::without_provenance::<u32>(UART0).add(register)) }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`.
    unsafe { ptr::write_volatile(ptr::without_provenance_mut::<u32>(UART0).add(register), value) }
}
