//! The tiles for Cortex-M3, written by hand: the compiler spills what has to stay in registers.
//!
//! By Arm's published timings a load takes two cycles, one if it follows another load, and a multiplication with an
//! addition two; anything else here takes one.

use core::arch::asm;

use super::position::Integer;
use super::tile;

/// A tile in assembly: `column` is the macro's body for column `\i`, or for a pair of columns.
///
/// MLA adds a product to a sum, which column 0 begins.
/// LOAD reads the activation that is `i` elements behind a pointer, of the size that the operand `size` says. The operand
/// `columns` says how many columns, or pairs, there are.
macro_rules! tile {
    ($column:literal, $($operands:tt)*) => {
        asm!(
            ".macro LOAD to, from, i",
            ".if {size} == 2",
            r"ldrsh \to, [\from, #(2 * (\i))]",
            ".else",
            r"ldrsb \to, [\from, #(\i)]",
            ".endif",
            ".endm",
            ".macro MLA to, weight, x, i",
            r".if \i",
            r"mla \to, \weight, \x, \to",
            ".else",
            r"mul \to, \weight, \x",
            ".endif",
            ".endm",
            ".macro COLUMN i",
            $column,
            ".endm",
            ".set i, 0",
            ".rept {columns}",
            "COLUMN i",
            ".set i, i + 1",
            ".endr",
            ".purgem LOAD",
            ".purgem MLA",
            ".purgem COLUMN",
            $($operands)*
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
    match (dots.as_flattened_mut(), &weights[..], &x[..]) {
        ([a, b, c, d], [p, q, r, s], [x]) => {
            // SAFETY: it reads what the references point to.
            unsafe {
                tile!(r"
                    LOAD {v}, {x}, \i
                    ldrsb {i}, [{p}, #\i]
                    ldrsb {j}, [{q}, #\i]
                    MLA {a}, {i}, {v}, \i
                    MLA {b}, {j}, {v}, \i
                    ldrsb {i}, [{r}, #\i]
                    ldrsb {j}, [{s}, #\i]
                    MLA {c}, {i}, {v}, \i
                    MLA {d}, {j}, {v}, \i",
                    columns = const N, size = const size_of::<I>(),
                    a = out(reg) *a, b = out(reg) *b, c = out(reg) *c, d = out(reg) *d,
                    p = in(reg) *p, q = in(reg) *q, r = in(reg) *r, s = in(reg) *s, x = in(reg) *x,
                    i = out(reg) _, j = out(reg) _, v = out(reg) _,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
        }
        ([a, c, b, d], [p, q], [x, y]) => {
            // SAFETY: as above.
            unsafe {
                tile!(r"
                    LOAD {v}, {x}, \i
                    LOAD {w}, {y}, \i
                    ldrsb {i}, [{p}, #\i]
                    ldrsb {j}, [{q}, #\i]
                    MLA {a}, {i}, {v}, \i
                    MLA {b}, {j}, {v}, \i
                    MLA {c}, {i}, {w}, \i
                    MLA {d}, {j}, {w}, \i",
                    columns = const N, size = const size_of::<I>(),
                    a = out(reg) *a, b = out(reg) *b, c = out(reg) *c, d = out(reg) *d,
                    p = in(reg) *p, q = in(reg) *q, x = in(reg) *x, y = in(reg) *y,
                    i = out(reg) _, j = out(reg) _, v = out(reg) _, w = out(reg) _,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
        }
        _ => tile::bytes(dots, weights, x),
    }
}

/// See [`tile::nibbles`].
///
/// A byte is `low + 16 * high`, so that `low * x + high * y` is `byte * x + high * (y - 16 * x)`.
#[inline(always)]
pub fn nibbles<I: Integer, const R: usize, const P: usize>(
    dots: &mut [[i32; P]; R],
    weights: [&[u8; 16]; R],
    x: [&[I; 32]; P],
) {
    match (dots.as_flattened_mut(), &weights[..], &x[..]) {
        ([a, b, c, d], [p, q, r, s], [x]) => {
            // SAFETY: it reads what the references point to.
            unsafe {
                tile!(r"
                    LOAD {v}, {x}, \i
                    LOAD {w}, {x}, \i + 16
                    ldrb {i}, [{p}, #\i]
                    sub {w}, {w}, {v}, lsl #4
                    mla {a}, {i}, {v}, {a}
                    lsr {i}, {i}, #4
                    mla {a}, {i}, {w}, {a}
                    ldrb {i}, [{q}, #\i]
                    mla {b}, {i}, {v}, {b}
                    lsr {i}, {i}, #4
                    mla {b}, {i}, {w}, {b}
                    ldrb {i}, [{r}, #\i]
                    mla {c}, {i}, {v}, {c}
                    lsr {i}, {i}, #4
                    mla {c}, {i}, {w}, {c}
                    ldrb {i}, [{s}, #\i]
                    mla {d}, {i}, {v}, {d}
                    lsr {i}, {i}, #4
                    mla {d}, {i}, {w}, {d}",
                    columns = const 16, size = const size_of::<I>(),
                    a = inout(reg) *a, b = inout(reg) *b, c = inout(reg) *c, d = inout(reg) *d,
                    p = in(reg) *p, q = in(reg) *q, r = in(reg) *r, s = in(reg) *s, x = in(reg) *x,
                    i = out(reg) _, v = out(reg) _, w = out(reg) _,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
        }
        ([a, c, b, d], [p, q], [x, y]) => {
            // SAFETY: as above.
            unsafe {
                tile!(r"
                    LOAD {v}, {x}, \i
                    LOAD {w}, {y}, \i
                    ldrb {i}, [{p}, #\i]
                    ldrb {j}, [{q}, #\i]
                    mla {a}, {i}, {v}, {a}
                    mla {b}, {j}, {v}, {b}
                    mla {c}, {i}, {w}, {c}
                    mla {d}, {j}, {w}, {d}
                    LOAD {u}, {x}, \i + 16
                    lsr {i}, {i}, #4
                    sub {v}, {u}, {v}, lsl #4
                    LOAD {u}, {y}, \i + 16
                    lsr {j}, {j}, #4
                    sub {w}, {u}, {w}, lsl #4
                    mla {a}, {i}, {v}, {a}
                    mla {b}, {j}, {v}, {b}
                    mla {c}, {i}, {w}, {c}
                    mla {d}, {j}, {w}, {d}",
                    columns = const 16, size = const size_of::<I>(),
                    a = inout(reg) *a, b = inout(reg) *b, c = inout(reg) *c, d = inout(reg) *d,
                    p = in(reg) *p, q = in(reg) *q, x = in(reg) *x, y = in(reg) *y,
                    i = out(reg) _, j = out(reg) _, u = out(reg) _, v = out(reg) _, w = out(reg) _,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
        }
        _ => tile::nibbles(dots, weights, x),
    }
}
