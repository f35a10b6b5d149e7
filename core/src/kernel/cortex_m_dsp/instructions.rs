//! Instructions of the DSP extension.

use core::arch::asm;

/// Bytes 0 and 2, sign-extended to the two halves.
#[inline(always)]
pub fn sxtb16(x: u32) -> u32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(any_cortex_m!(), "sxtb16 {}, {}", lateout(reg) out, in(reg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}

/// Bytes 1 and 3, sign-extended to the two halves.
#[inline(always)]
pub fn sxtb16_rotated(x: u32) -> u32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(any_cortex_m!(), "sxtb16 {}, {}, ror #8", lateout(reg) out, in(reg) x,
            options(pure, nomem, nostack, preserves_flags));
    };
    out
}

/// `sum + low(a) * low(b) + high(a) * high(b)`. A group's sum stays below 2^28, so that it never overflows.
#[inline(always)]
pub fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let out;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(any_cortex_m!(), "smlad {}, {}, {}, {}", lateout(reg) out, in(reg) a, in(reg) b, in(reg) sum,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}
