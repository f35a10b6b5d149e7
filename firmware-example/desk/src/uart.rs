//! UART0 of the RP2040, at the pins of a Pico that are numbered 1 and 2: the board sends by GP0 and receives by GP1, 115,200
//! bits a second.
//!
//! The clock is made as the RP2040's datasheet has it (2.15 to 2.18): a Pico's crystal of 12 MHz, and from it 125 MHz for
//! core and UART.
#![allow(unsafe_code)]

use emberlm_request::cable::Wire;
use rp2040_pac::{CLOCKS, PLL_SYS, Peripherals, RESETS, UART0, XOSC};

/// Turns of the loop's oscillator for one of the crystal: 1,500 MHz.
const MULTIPLIER: u16 = 125;

/// What the oscillator is divided by, in two steps: 125 MHz.
const DIVIDERS: (u8, u8) = (6, 2);

const CLOCK_HZ: u32 = 125_000_000;
const BAUD: u32 = 115_200;

/// The clock, by 16 times the bits a second, in 64ths.
const BAUD_DIVIDER: u32 = (4 * CLOCK_HZ + BAUD / 2) / BAUD;

/// Units of 256 of the crystal's periods that it takes to be stable: a millisecond.
const START_UP: u16 = 47;

/// The UART.
#[derive(Debug)]
pub struct Uart(UART0);

impl Uart {
    /// Starts the clock and the UART; `None` when somebody else has the chip's peripherals.
    pub fn start() -> Option<Self> {
        let chip = Peripherals::take()?;
        start_crystal(&chip.XOSC);
        start_pll(&chip.PLL_SYS, &chip.RESETS);
        switch(&chip.CLOCKS);
        chip.RESETS.reset().modify(|_, w| w.io_bank0().clear_bit().pads_bank0().clear_bit().uart0().clear_bit());
        loop {
            let done = chip.RESETS.reset_done().read();
            if done.io_bank0().bit() && done.pads_bank0().bit() && done.uart0().bit() {
                break;
            }
        }
        for pin in [0, 1] {
            chip.IO_BANK0.gpio(pin).gpio_ctrl().write(|w| w.funcsel().uart());
        }
        let uart = chip.UART0;
        // SAFETY: the whole part fits its field of 16 bits.
        uart.uartibrd().write(|w| unsafe { w.baud_divint().bits((BAUD_DIVIDER / 64) as u16) });
        // SAFETY: 64ths fit theirs of 6.
        uart.uartfbrd().write(|w| unsafe { w.baud_divfrac().bits((BAUD_DIVIDER % 64) as u8) });
        // SAFETY: words of 8 bits.
        uart.uartlcr_h().write(|w| unsafe { w.wlen().bits(0b11).fen().set_bit() });
        uart.uartcr().write(|w| w.uarten().set_bit().txe().set_bit().rxe().set_bit());
        Some(Self(uart))
    }
}

fn start_crystal(crystal: &XOSC) {
    // SAFETY: any delay is one.
    crystal.startup().write(|w| unsafe { w.delay().bits(START_UP) });
    crystal.ctrl().write(|w| w.freq_range()._1_15mhz().enable().enable());
    while crystal.status().read().stable().bit_is_clear() {}
}

fn start_pll(pll: &PLL_SYS, resets: &RESETS) {
    resets.reset().modify(|_, w| w.pll_sys().clear_bit());
    while resets.reset_done().read().pll_sys().bit_is_clear() {}
    // SAFETY: the datasheet's own numbers for 125 MHz of a crystal of 12 MHz.
    unsafe {
        pll.cs().modify(|_, w| w.refdiv().bits(1));
        pll.fbdiv_int().write(|w| w.fbdiv_int().bits(MULTIPLIER));
        pll.pwr().modify(|_, w| w.pd().clear_bit().vcopd().clear_bit());
        while pll.cs().read().lock().bit_is_clear() {}
        pll.prim().write(|w| w.postdiv1().bits(DIVIDERS.0).postdiv2().bits(DIVIDERS.1));
    }
    pll.pwr().modify(|_, w| w.postdivpd().clear_bit());
}

/// Has the reference clock come from the crystal, core and UART from the loop.
fn switch(clocks: &CLOCKS) {
    clocks.clk_ref_ctrl().modify(|_, w| w.src().xosc_clksrc());
    while clocks.clk_ref_selected().read().bits() != 1 << 2 {}
    clocks.clk_sys_ctrl().modify(|_, w| w.auxsrc().clksrc_pll_sys());
    clocks.clk_sys_ctrl().modify(|_, w| w.src().clksrc_clk_sys_aux());
    while clocks.clk_sys_selected().read().bits() != 1 << 1 {}
    clocks.clk_peri_ctrl().write(|w| w.auxsrc().clk_sys().enable().set_bit());
}

impl Wire for Uart {
    fn read(&mut self) -> Option<u8> {
        // What came with an error is noise, which the frame's checksum finds.
        self.0.uartfr().read().rxfe().bit_is_clear().then(|| self.0.uartdr().read().data().bits())
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.0.uartfr().read().txff().bit_is_set() {}
            // SAFETY: any byte may be sent.
            self.0.uartdr().write(|w| unsafe { w.data().bits(byte) });
        }
    }
}
