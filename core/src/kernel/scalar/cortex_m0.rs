//! The tiles for Cortex-M0 and M0+, written by hand: eight of the registers can be loaded or multiplied, four others hold
//! the sums.
//!
//! By Arm's published timings of the M0+ a load takes two cycles; anything else here takes one, where the core has the
//! fast multiplier.

use core::arch::asm;

use super::position::Integer;
use super::tile;

/// A tile in assembly: `column` is the macro's body for column `\i`, or for a pair of columns, of which there are as many
/// as the operand `columns` says. Rows are in r0 to r3, which the sums in r8 to r11 replace.
///
/// ADD adds to a sum, which column 0 begins. LOAD reads the activation that is `i` elements behind a pointer, of the size
/// that the operand `size` says. ROW adds a pair of nibbles times r4 and r5.
macro_rules! tile {
    ($sums:ident, $rows:ident, $x:ident, $column:literal, $($operands:tt)*) => {
        asm!(
            ".macro ADD to, from, i",
            ".if \\i",
            "add \\to, \\from",
            ".else",
            "mov \\to, \\from",
            ".endif",
            ".endm",
            ".macro LOAD to, from, offset, i",
            "movs \\offset, #({size} * (\\i))",
            ".if {size} == 2",
            "ldrsh \\to, [\\from, \\offset]",
            ".else",
            "ldrsb \\to, [\\from, \\offset]",
            ".endif",
            ".endm",
            ".macro ROW row, to, i",
            "ldrb r6, [\\row, #\\i]",
            "lsrs r7, r6, #4",
            "muls r6, r4, r6",
            "muls r7, r5, r7",
            "adds r6, r6, r7",
            "ADD \\to, r6, \\i",
            ".endm",
            ".macro COLUMN i",
            $column,
            ".endm",
            "push {{r6, r7}}",
            "mov r12, r4",
            ".set i, 0",
            ".rept {columns}",
            "COLUMN i",
            ".set i, i + 1",
            ".endr",
            "mov r0, r8",
            "mov r1, r9",
            "mov r2, r10",
            "mov r3, r11",
            "pop {{r6, r7}}",
            ".purgem ADD",
            ".purgem LOAD",
            ".purgem ROW",
            ".purgem COLUMN",
            inout("r0") $rows[0] => $sums[0],
            inout("r1") $rows[1] => $sums[1],
            inout("r2") $rows[2] => $sums[2],
            inout("r3") $rows[3] => $sums[3],
            inout("r4") $x => _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            $($operands)*
            options(pure, readonly),
        )
    };
}

/// See [`tile::bytes`].
#[inline(always)]
pub fn bytes<I: Integer, const N: usize, const R: usize, const P: usize>(
    dots: &mut [[i32; P]; R],
    weights: [&[u8; N]; R],
    x: [&[I; N]; P],
) {
    let &[p, q, r, s] = &weights[..] else { return tile::bytes(dots, weights, x) };
    for (t, x) in x.into_iter().enumerate() {
        let sums = four_of_bytes([p, q, r, s], x);
        dots.iter_mut().zip(sums).for_each(|(dots, sum)| dots[t] = sum);
    }
}

/// See [`tile::nibbles`].
#[inline(always)]
pub fn nibbles<I: Integer, const R: usize, const P: usize>(
    dots: &mut [[i32; P]; R],
    weights: [&[u8; 16]; R],
    x: [&[I; 32]; P],
) {
    let &[p, q, r, s] = &weights[..] else { return tile::nibbles(dots, weights, x) };
    for (t, x) in x.into_iter().enumerate() {
        let sums = four_of_nibbles([p, q, r, s], x);
        dots.iter_mut().zip(sums).for_each(|(dots, sum)| dots[t] += sum);
    }
}

/// The dot products of four rows. A function of its own: what is near it may load constants from behind its code, which
/// must not be far.
#[inline(never)]
fn four_of_bytes<I: Integer, const N: usize>(rows: [&[u8; N]; 4], x: &[I; N]) -> [i32; 4] {
    let mut sums = [0; 4];
    // SAFETY: it reads what the references point to, and leaves the stack as it was.
    unsafe {
        tile!(sums, rows, x, r"
            LOAD r6, r4, r6, \i
            movs r5, #\i
            ldrsb r7, [r0, r5]
            muls r7, r6, r7
            ADD r8, r7, \i
            ldrsb r7, [r1, r5]
            muls r7, r6, r7
            ADD r9, r7, \i
            ldrsb r7, [r2, r5]
            muls r7, r6, r7
            ADD r10, r7, \i
            ldrsb r7, [r3, r5]
            muls r7, r6, r7
            ADD r11, r7, \i",
            columns = const N,
            size = const size_of::<I>(),
        );
    }
    sums
}

/// As [`four_of_bytes`], of nibbles.
///
/// A byte is `low + 16 * high`, so that `low * x + high * y` is `byte * x + high * (y - 16 * x)`.
#[inline(never)]
fn four_of_nibbles<I: Integer>(rows: [&[u8; 16]; 4], x: &[I; 32]) -> [i32; 4] {
    let mut sums = [0; 4];
    // SAFETY: as above.
    unsafe {
        tile!(sums, rows, x, r"
            mov r4, r12
            LOAD r5, r4, r5, \i + 16
            LOAD r4, r4, r6, \i
            lsls r6, r4, #4
            subs r5, r5, r6
            ROW r0, r8, \i
            ROW r1, r9, \i
            ROW r2, r10, \i
            ROW r3, r11, \i",
            columns = const 16,
            size = const size_of::<I>(),
        );
    }
    sums
}
