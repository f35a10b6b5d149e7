//! The tiles for RISC-V, written by hand: the compiler loads too many columns at once, and spills.

use core::arch::asm;

use super::{Integer, tile};

/// A tile in assembly: `column` is the macro's body for column `\i`, or for a pair of columns.
///
/// ADD adds to a sum, which column 0 begins.
/// LOAD reads the activation that is `i` elements behind a pointer, of the size that the operand `size` says. The operand
/// `columns` says how many columns, or pairs, there are.
macro_rules! tile {
    ($column:literal, $($operands:tt)*) => {
        asm!(
            ".macro LOAD to, from, i",
            ".if {size} == 2",
            r"lh \to, 2 * (\i)(\from)",
            ".else",
            r"lb \to, \i(\from)",
            ".endif",
            ".endm",
            ".macro ADD to, from, i",
            r".if \i",
            r"add \to, \to, \from",
            ".else",
            r"mv \to, \from",
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
            ".purgem ADD",
            ".purgem COLUMN",
            $($operands)*
            options(pure, readonly, nostack, preserves_flags)
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
                    lb {i}, \i({p})
                    lb {j}, \i({q})
                    lb {k}, \i({r})
                    lb {l}, \i({s})
                    mul {i}, {i}, {v}
                    mul {j}, {j}, {v}
                    mul {k}, {k}, {v}
                    mul {l}, {l}, {v}
                    ADD {a}, {i}, \i
                    ADD {b}, {j}, \i
                    ADD {c}, {k}, \i
                    ADD {d}, {l}, \i",
                    columns = const N, size = const size_of::<I>(),
                    a = out(reg) *a, b = out(reg) *b, c = out(reg) *c, d = out(reg) *d,
                    p = in(reg) *p, q = in(reg) *q, r = in(reg) *r, s = in(reg) *s, x = in(reg) *x,
                    i = out(reg) _, j = out(reg) _, k = out(reg) _, l = out(reg) _, v = out(reg) _,
                );
            }
        }
        ([a, e, b, f, c, g, d, h], [p, q, r, s], [x, y]) => {
            // SAFETY: as above.
            unsafe {
                tile!(r"
                    LOAD {v}, {x}, \i
                    lb {i}, \i({p})
                    lb {j}, \i({q})
                    lb {k}, \i({r})
                    lb {l}, \i({s})
                    mul {m}, {i}, {v}
                    mul {n}, {j}, {v}
                    ADD {a}, {m}, \i
                    mul {m}, {k}, {v}
                    ADD {b}, {n}, \i
                    mul {n}, {l}, {v}
                    LOAD {v}, {y}, \i
                    ADD {c}, {m}, \i
                    ADD {d}, {n}, \i
                    mul {i}, {i}, {v}
                    mul {j}, {j}, {v}
                    mul {k}, {k}, {v}
                    mul {l}, {l}, {v}
                    ADD {e}, {i}, \i
                    ADD {f}, {j}, \i
                    ADD {g}, {k}, \i
                    ADD {h}, {l}, \i",
                    columns = const N, size = const size_of::<I>(),
                    a = out(reg) *a, b = out(reg) *b, c = out(reg) *c, d = out(reg) *d,
                    e = out(reg) *e, f = out(reg) *f, g = out(reg) *g, h = out(reg) *h,
                    p = in(reg) *p, q = in(reg) *q, r = in(reg) *r, s = in(reg) *s,
                    x = in(reg) *x, y = in(reg) *y,
                    i = out(reg) _, j = out(reg) _, k = out(reg) _, l = out(reg) _, v = out(reg) _,
                    m = out(reg) _, n = out(reg) _,
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
                    lbu {i}, \i({p})
                    lbu {j}, \i({q})
                    lbu {k}, \i({r})
                    lbu {l}, \i({s})
                    slli {m}, {v}, 4
                    sub {w}, {w}, {m}
                    mul {m}, {i}, {v}
                    mul {n}, {j}, {v}
                    srli {i}, {i}, 4
                    srli {j}, {j}, 4
                    add {a}, {a}, {m}
                    add {b}, {b}, {n}
                    mul {m}, {k}, {v}
                    mul {n}, {l}, {v}
                    srli {k}, {k}, 4
                    srli {l}, {l}, 4
                    add {c}, {c}, {m}
                    add {d}, {d}, {n}
                    mul {i}, {i}, {w}
                    mul {j}, {j}, {w}
                    mul {k}, {k}, {w}
                    mul {l}, {l}, {w}
                    add {a}, {a}, {i}
                    add {b}, {b}, {j}
                    add {c}, {c}, {k}
                    add {d}, {d}, {l}",
                    columns = const 16, size = const size_of::<I>(),
                    a = inout(reg) *a, b = inout(reg) *b, c = inout(reg) *c, d = inout(reg) *d,
                    p = in(reg) *p, q = in(reg) *q, r = in(reg) *r, s = in(reg) *s, x = in(reg) *x,
                    i = out(reg) _, j = out(reg) _, k = out(reg) _, l = out(reg) _, m = out(reg) _, n = out(reg) _,
                    v = out(reg) _, w = out(reg) _,
                );
            }
        }
        ([a, e, b, f, c, g, d, h], [p, q, r, s], [x, y]) => {
            // SAFETY: as above.
            unsafe {
                tile!(r"
                    LOAD {v}, {x}, \i
                    LOAD {w}, {y}, \i
                    lbu {i}, \i({p})
                    lbu {j}, \i({q})
                    lbu {k}, \i({r})
                    lbu {l}, \i({s})
                    mul {m}, {i}, {v}
                    mul {n}, {j}, {v}
                    add {a}, {a}, {m}
                    mul {m}, {k}, {v}
                    add {b}, {b}, {n}
                    mul {n}, {l}, {v}
                    add {c}, {c}, {m}
                    mul {m}, {i}, {w}
                    add {d}, {d}, {n}
                    mul {n}, {j}, {w}
                    add {e}, {e}, {m}
                    mul {m}, {k}, {w}
                    add {f}, {f}, {n}
                    mul {n}, {l}, {w}
                    add {g}, {g}, {m}
                    add {h}, {h}, {n}
                    LOAD {m}, {x}, \i + 16
                    LOAD {n}, {y}, \i + 16
                    slli {v}, {v}, 4
                    slli {w}, {w}, 4
                    sub {v}, {m}, {v}
                    sub {w}, {n}, {w}
                    srli {i}, {i}, 4
                    srli {j}, {j}, 4
                    srli {k}, {k}, 4
                    srli {l}, {l}, 4
                    mul {m}, {i}, {v}
                    mul {n}, {j}, {v}
                    add {a}, {a}, {m}
                    mul {m}, {k}, {v}
                    add {b}, {b}, {n}
                    mul {n}, {l}, {v}
                    add {c}, {c}, {m}
                    add {d}, {d}, {n}
                    mul {i}, {i}, {w}
                    mul {j}, {j}, {w}
                    mul {k}, {k}, {w}
                    mul {l}, {l}, {w}
                    add {e}, {e}, {i}
                    add {f}, {f}, {j}
                    add {g}, {g}, {k}
                    add {h}, {h}, {l}",
                    columns = const 16, size = const size_of::<I>(),
                    a = inout(reg) *a, b = inout(reg) *b, c = inout(reg) *c, d = inout(reg) *d,
                    e = inout(reg) *e, f = inout(reg) *f, g = inout(reg) *g, h = inout(reg) *h,
                    p = in(reg) *p, q = in(reg) *q, r = in(reg) *r, s = in(reg) *s,
                    x = in(reg) *x, y = in(reg) *y,
                    i = out(reg) _, j = out(reg) _, k = out(reg) _, l = out(reg) _, m = out(reg) _, n = out(reg) _,
                    v = out(reg) _, w = out(reg) _,
                );
            }
        }
        _ => tile::nibbles(dots, weights, x),
    }
}
