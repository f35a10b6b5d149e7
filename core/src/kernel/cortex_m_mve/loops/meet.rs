//! Where sums meet their scales, four groups a vector: q7 points to the sums, q4 and q5 are what the activations have to
//! say of their groups, q0 or q1 the weights' scales.
//!
//! `block` loads q4 and q5, `scales` the weights' scales, and `sum` takes the sums at one or two places to a total.

// Bytes by bytes: a group of 64 has two sums, under the scales of even 32s and of odd ones.

macro_rules! meet_bytes_i8 {
    (block, $at:literal) => {
        concat!("vldrw.u32 q4, [", $at, "], #16\n vldrw.u32 q5, [", $at, "], #16\n")
    };
    (scales, $to:literal, $at:literal) => {
        concat!("vldrb.u32 ", $to, ", [", $at, "], #4\n")
    };
    (sum, $a:literal, $b:literal, $scales:literal, $total:literal) => {
        concat!(
            "vldrw.u32 q2, [q7, ",
            $a,
            "\n vmul.i32 q2, q2, q4\n",
            "vldrw.u32 q3, [q7, ",
            $b,
            "]\n vmul.i32 q3, q3, q5\n",
            "vadd.i32 q2, q2, q3\n vmlaldava.s32 ",
            $total,
            ", q2, ",
            $scales,
            "\n"
        )
    };
}

// Bytes by 16 bits.

macro_rules! meet_bytes_i16 {
    (block, $at:literal) => {
        ""
    };
    (scales, $to:literal, $at:literal) => {
        concat!("vldrb.u32 ", $to, ", [", $at, "], #4\n")
    };
    (sum, $a:literal, $b:literal, $scales:literal, $total:literal) => {
        concat!("vldrw.u32 q2, [q7, ", $a, "\n vmlaldava.s32 ", $total, ", q2, ", $scales, "\n")
    };
}

// Unsigned integers by bytes: the activations' scales, the corrections.

macro_rules! meet_unsigned_i8 {
    (block, $at:literal) => {
        concat!("vldrw.u32 q4, [", $at, "], #16\n vldrw.u32 q5, [", $at, "], #16\n")
    };
    (scales, $to:literal, $at:literal) => {
        concat!("vldrb.s32 ", $to, ", [", $at, "], #4\n")
    };
    (sum, $a:literal, $b:literal, $scales:literal, $total:literal) => {
        concat!(
            "vldrw.u32 q2, [q7, ",
            $a,
            "\n vadd.i32 q2, q2, q5\n vmul.i32 q2, q2, q4\n",
            "vmlaldava.s32 ",
            $total,
            ", q2, ",
            $scales,
            "\n"
        )
    };
}

// Unsigned integers by 16 bits: the corrections.

macro_rules! meet_unsigned_i16 {
    (block, $at:literal) => {
        concat!("vldrw.u32 q5, [", $at, "], #16\n")
    };
    (scales, $to:literal, $at:literal) => {
        concat!("vldrb.s32 ", $to, ", [", $at, "], #4\n")
    };
    (sum, $a:literal, $b:literal, $scales:literal, $total:literal) => {
        concat!(
            "vldrw.u32 q2, [q7, ",
            $a,
            "\n vadd.i32 q2, q2, q5\n",
            "vmlaldava.s32 ",
            $total,
            ", q2, ",
            $scales,
            "\n"
        )
    };
}

/// Sums of three or four rows: r0 to r3 point to their scales, r12 to the position's block, the totals are r4 and r5 and
/// so on. The number at the end is how many bytes lie from row to row.
macro_rules! meet_rows {
    (3, $meet:ident, 4) => {
        concat!(
            $meet!(block, "r12"),
            $meet!(scales, "q0", "r0"),
            $meet!(sum, "#-4*{apart}]!", "#0", "q0", "r4, r5"),
            $meet!(scales, "q0", "r1"),
            $meet!(sum, "#4]", "#0", "q0", "r6, r7"),
            $meet!(scales, "q0", "r2"),
            $meet!(sum, "#8]", "#0", "q0", "r8, r9")
        )
    };
    (4, $meet:ident, 4) => {
        concat!(meet_rows!(3, $meet, 4), $meet!(scales, "q0", "r3"), $meet!(sum, "#12]", "#0", "q0", "r10, r11"))
    };
    (4, $meet:ident, 8) => {
        concat!(
            $meet!(block, "r12"),
            $meet!(scales, "q0", "r0"),
            $meet!(sum, "#-4*{apart}]!", "#4", "q0", "r4, r5"),
            $meet!(scales, "q0", "r1"),
            $meet!(sum, "#8]", "#12", "q0", "r6, r7"),
            $meet!(scales, "q0", "r2"),
            $meet!(sum, "#16]", "#20", "q0", "r8, r9"),
            $meet!(scales, "q0", "r3"),
            $meet!(sum, "#24]", "#28", "q0", "r10, r11")
        )
    };
}

/// Sums of two rows with two positions: r1 and r3 point to the rows' scales, r0 and r2 to the positions' blocks. A
/// group's second sums lie under all of its first ones.
macro_rules! meet_positions {
    ($meet:ident) => {
        concat!(
            $meet!(scales, "q0", "r1"),
            $meet!(scales, "q1", "r3"),
            $meet!(block, "r0"),
            $meet!(sum, "#-4*{apart}]!", "#-32", "q0", "r4, r5"),
            $meet!(sum, "#4]", "#-28", "q1", "r6, r7"),
            $meet!(block, "r2"),
            $meet!(sum, "#8]", "#-24", "q0", "r8, r9"),
            $meet!(sum, "#12]", "#-20", "q1", "r10, r11")
        )
    };
}
