//! Forward passes in bounded steps, between which the task of a timer's interrupt runs.
#![no_std]
#![no_main]

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::{entry, exception};
use emberlm_firmware::steps;
use emberlm_mps::{exit, model_partition, take};

/// The first timer of the boards' FPGA images for M3, M4 and M7.
#[derive(Clone, Copy)]
struct Timer0;

// SAFETY: the number is the timer's, and always the same.
#[allow(unsafe_code)]
unsafe impl InterruptNumber for Timer0 {
    fn number(self) -> u16 {
        8
    }
}

const TIMER0: *mut u32 = ptr::without_provenance_mut(0x4000_0000);
/// Offsets in words.
const CONTROL: usize = 0;
const RELOAD: usize = 2;
const INTERRUPT_CLEAR: usize = 3;
const ENABLE_WITH_INTERRUPT: u32 = 0b1001;

/// 0.1 ms of the boards' 25 MHz.
const PERIOD_TICKS: u32 = 2500;

/// How often the task is due.
static DUE: AtomicU32 = AtomicU32::new(0);

#[entry]
fn main() -> ! {
    let Some((mut board, buffers)) = take() else { exit(false) };
    start_timer();
    exit(steps(&mut board, model_partition(), buffers, run_due_tasks))
}

/// The work of the program's other half: here it only counts.
fn run_due_tasks() -> u32 {
    let due = DUE.load(Ordering::Relaxed);
    cortex_m::interrupt::free(|_| DUE.store(DUE.load(Ordering::Relaxed) - due, Ordering::Relaxed));
    due
}

#[allow(unsafe_code)]
fn start_timer() {
    // SAFETY: the board has the timer's registers there, and nothing else uses them; its handler is defined below.
    unsafe {
        ptr::write_volatile(TIMER0.add(RELOAD), PERIOD_TICKS - 1);
        ptr::write_volatile(TIMER0.add(CONTROL), ENABLE_WITH_INTERRUPT);
        NVIC::unmask(Timer0);
    }
}

#[allow(unsafe_code)]
// SAFETY: it touches the timer's own register and an atomic.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    // SAFETY: as in `start_timer`.
    unsafe { ptr::write_volatile(TIMER0.add(INTERRUPT_CLEAR), 1) };
    DUE.store(DUE.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
