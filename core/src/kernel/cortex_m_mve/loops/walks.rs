//! Walks through bytes and nibbles.

// Bytes by bytes: 64 columns, two sums of each row.

macro_rules! bytes_i8 {
    (begin) => {
        ""
    };
    (x) => {
        concat!(
            "vldrw.u32 q2, [r12], #16\n vldrw.u32 q3, [r12], #16\n",
            "vldrw.u32 q4, [r12], #16\n vldrw.u32 q5, [r12], #16\n"
        )
    };
    (two, $first:literal, $second:literal) => {
        concat!(bytes_i8_row!($first, "r4", "r6"), bytes_i8_row!($second, "r8", "r10"), push!(4))
    };
    (four) => {
        concat!(bytes_i8!(two, "r2", "r3"), bytes_i8!(two, "r0", "r1"))
    };
    (4) => {
        concat!(bytes_i8!(x), bytes_i8!(four))
    };
    (8) => {
        concat!(bytes_i8!(x), bytes_i8!(two, "r9", "r11"), bytes_i8!(two, "r5", "r7"), bytes_i8!(four))
    };
    (positions) => {
        concat!(
            bytes_i8!(positions, "vmladav"),
            bytes_i8!(positions, "vmladava"),
            push!(8),
            bytes_i8!(positions, "vmladav"),
            bytes_i8!(positions, "vmladava"),
            push!(8)
        )
    };
    (positions, $op:literal) => {
        concat!("vldrw.u32 q0, [r1], #16\n vldrw.u32 q1, [r3], #16\n", each_position!(bytes_i8_position, $op))
    };
}

macro_rules! bytes_i8_row {
    ($w:literal, $a:literal, $b:literal) => {
        concat!(
            "vldrw.u32 q0, [",
            $w,
            "], #16\n vmladav.s8 ",
            $a,
            ", q0, q2\n",
            "vldrw.u32 q0, [",
            $w,
            "], #16\n vmladava.s8 ",
            $a,
            ", q0, q3\n",
            "vldrw.u32 q0, [",
            $w,
            "], #16\n vmladav.s8 ",
            $b,
            ", q0, q4\n",
            "vldrw.u32 q0, [",
            $w,
            "], #16\n vmladava.s8 ",
            $b,
            ", q0, q5\n"
        )
    };
}

macro_rules! bytes_i8_position {
    ($x:literal, $a:literal, $b:literal, $op:literal) => {
        concat!("vldrw.u32 q2, [", $x, "], #16\n ", $op, ".s8 ", $a, ", q0, q2\n ", $op, ".s8 ", $b, ", q1, q2\n")
    };
}

// Bytes by 16 bits: 8 columns at a time.

macro_rules! bytes_i16 {
    (begin) => {
        ""
    };
    ($n:tt) => {
        concat!(
            bytes_i16!($n, "vmladav"),
            bytes_i16!($n, "vmladava"),
            bytes_i16!($n, "vmladava"),
            bytes_i16!($n, "vmladava"),
            bytes_i16!($n, "vmladava"),
            bytes_i16!($n, "vmladava"),
            bytes_i16!($n, "vmladava"),
            bytes_i16!($n, "vmladava"),
            push!($n)
        )
    };
    (positions, $op:literal) => {
        concat!("vldrb.s16 q0, [r1], #8\n vldrb.s16 q1, [r3], #8\n", each_position!(bytes_i16_position, $op))
    };
    ($n:tt, $op:literal) => {
        concat!("vldrw.u32 q2, [r9], #16\n", each_row!($n, bytes_i16_row, $op))
    };
}

macro_rules! bytes_i16_row {
    ($w:literal, $sum:literal, $op:literal) => {
        concat!("vldrb.s16 q0, [", $w, "], #8\n ", $op, ".s16 ", $sum, ", q0, q2\n")
    };
}

macro_rules! bytes_i16_position {
    ($x:literal, $a:literal, $b:literal, $op:literal) => {
        concat!("vldrw.u32 q2, [", $x, "], #16\n ", $op, ".s16 ", $a, ", q0, q2\n ", $op, ".s16 ", $b, ", q1, q2\n")
    };
}

// Nibbles by bytes: 32 columns at a time, the low nibbles' and the high ones'.

macro_rules! nibbles_i8 {
    (begin) => {
        "vmov.i8 q5, #15\n"
    };
    (x) => {
        "vldrw.u32 q2, [r12], #16\n vldrw.u32 q3, [r12], #16\n"
    };
    (four) => {
        concat!(
            nibbles_i8_row!("r0", "r4"),
            nibbles_i8_row!("r1", "r6"),
            nibbles_i8_row!("r2", "r8"),
            nibbles_i8_row!("r3", "r10"),
            push!(4)
        )
    };
    (4) => {
        concat!(nibbles_i8!(x), nibbles_i8!(four))
    };
    (8) => {
        concat!(
            nibbles_i8!(x),
            nibbles_i8_row!("r5", "r4"),
            nibbles_i8_row!("r7", "r6"),
            nibbles_i8_row!("r9", "r8"),
            nibbles_i8_row!("r11", "r10"),
            push!(4),
            nibbles_i8!(four)
        )
    };
    (positions) => {
        concat!(
            "vldrw.u32 q1, [r1], #16\n vand q0, q1, q5\n vldrw.u32 q3, [r3], #16\n vshr.u8 q1, q1, #4\n",
            "vand q2, q3, q5\n vshr.u8 q3, q3, #4\n",
            each_position!(nibbles_i8_position, "vmladav"),
            push!(8)
        )
    };
}

macro_rules! nibbles_i8_row {
    ($w:literal, $sum:literal) => {
        concat!(
            "vldrw.u32 q1, [",
            $w,
            "], #16\n vand q0, q1, q5\n vmladav.s8 ",
            $sum,
            ", q0, q2\n",
            "vshr.u8 q1, q1, #4\n vmladava.s8 ",
            $sum,
            ", q1, q3\n"
        )
    };
}

macro_rules! nibbles_i8_position {
    ($x:literal, $a:literal, $b:literal, $op:literal) => {
        concat!(
            "vldrw.u32 q4, [",
            $x,
            "], #16\n vmladav.s8 ",
            $a,
            ", q0, q4\n vmladav.s8 ",
            $b,
            ", q2, q4\n",
            "vldrw.u32 q4, [",
            $x,
            "], #16\n vmladava.s8 ",
            $a,
            ", q1, q4\n vmladava.s8 ",
            $b,
            ", q3, q4\n"
        )
    };
}

// Nibbles by 16 bits: 16 columns at a time, two runs of 8.

macro_rules! nibbles_i16 {
    (begin) => {
        "vmov.i16 q5, #15\n"
    };
    (unpack) => {
        concat!(
            "vldrb.u16 q1, [r1], #8\n vand q0, q1, q5\n vldrb.u16 q3, [r3], #8\n vshr.u16 q1, q1, #4\n",
            "vand q2, q3, q5\n vshr.u16 q3, q3, #4\n"
        )
    };
    (positions) => {
        concat!(
            nibbles_i16!(unpack),
            each_position!(nibbles_i16_first, "vmladav"),
            nibbles_i16!(unpack),
            each_position!(nibbles_i16_second, "vmladava"),
            push!(8)
        )
    };
    ($n:tt) => {
        concat!(nibbles_i16!($n, "vmladav", "#-16"), nibbles_i16!($n, "vmladava", "#16"), push!($n))
    };
    ($n:tt, $op:literal, $next:literal) => {
        concat!("vldrw.u32 q2, [r9], #32\n vldrw.u32 q3, [r9], ", $next, "\n", each_row!($n, nibbles_i16_row, $op))
    };
}

macro_rules! nibbles_i16_row {
    ($w:literal, $sum:literal, $op:literal) => {
        concat!(
            "vldrb.u16 q1, [",
            $w,
            "], #8\n vand q0, q1, q5\n ",
            $op,
            ".s16 ",
            $sum,
            ", q0, q2\n",
            "vshr.u16 q1, q1, #4\n vmladava.s16 ",
            $sum,
            ", q1, q3\n"
        )
    };
}

macro_rules! nibbles_i16_first {
    ($x:literal, $a:literal, $b:literal, $op:literal) => {
        concat!(
            "vldrw.u32 q4, [",
            $x,
            "], #32\n ",
            $op,
            ".s16 ",
            $a,
            ", q0, q4\n ",
            $op,
            ".s16 ",
            $b,
            ", q2, q4\n",
            "vldrw.u32 q4, [",
            $x,
            "], #-16\n vmladava.s16 ",
            $a,
            ", q1, q4\n vmladava.s16 ",
            $b,
            ", q3, q4\n"
        )
    };
}

macro_rules! nibbles_i16_second {
    ($x:literal, $a:literal, $b:literal, $op:literal) => {
        concat!(
            "vldrw.u32 q4, [",
            $x,
            "], #32\n ",
            $op,
            ".s16 ",
            $a,
            ", q0, q4\n ",
            $op,
            ".s16 ",
            $b,
            ", q2, q4\n",
            "vldrw.u32 q4, [",
            $x,
            "], #16\n vmladava.s16 ",
            $a,
            ", q1, q4\n vmladava.s16 ",
            $b,
            ", q3, q4\n"
        )
    };
}
