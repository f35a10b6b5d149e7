//! The loops over whole groups, written by hand: the compiler knows no way to keep this many sums in registers.
//!
//! A tile is six or four rows with one position, or two rows with four positions. A loop walks its groups and pushes each
//! group's integer sums onto the stack; then two sums at a time meet their scales, four groups a vector, in 64 bits.
//!
//! By Arm's published timings for Cortex-M55 a vector instruction takes two cycles, and overlaps by one with the next one
//! where one loads and the other multiplies: loads and products that take turns are one cycle each. What stands alone
//! costs its second cycle too.

use core::arch::naked_asm;

/// Groups that a loop may be given at most: what they push is 1 KiB.
pub const MAX_GROUPS: usize = 32;

/// What a loop works on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// The first row's weights, at a multiple of 4.
    pub weights: *const u8,
    /// Bytes from row to row.
    pub stride: usize,
    /// The first position's activations, at a multiple of 4.
    pub x: *const u32,
    /// Bytes from position to position.
    pub x_stride: usize,
    /// Groups of weights, from 1 on.
    pub groups: usize,
    /// The first row's scales.
    pub scales: *const u8,
    /// The first position's scales of 8-bit activations.
    pub x_scales: *const u32,
    /// What makes up for the integers' being unsigned: a word a group, added to its sum.
    pub corrections: *const i32,
    /// The sums that grow: of each row, or of two rows for each position.
    pub sums: *mut i64,
}

/// A loop over a tile.
pub type Run = unsafe extern "C" fn(&Tile);

/// The parts of a loop, for a tile of so many `sums`: `begin` sets up registers, `walk` takes a step through the
/// weights, `again` repeats it; `meet` is the body that multiplies a pair of sums by `groups` scales.
macro_rules! tile {
    (
        sums: $sums:literal, pushes: $pushes:literal, begin: $begin:expr, walk: $walk:expr, again: $again:expr,
        next_pair: $next_pair:expr, begin_meet: $begin_meet:expr, meet: $meet:expr
    ) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            "vmov s28, r0",
            "mov r1, sp",
            "vmov s29, r1",
            $begin,
            "2:",
            $walk,
            $again,
            // Where each lane's group is: downwards from the first.
            "vmov r0, s28",
            "vmov r8, s29",
            "movs r10, #0",
            "vidup.u32 q6, r10, #1",
            "mvn r9, #{apart} - 1",
            "vmul.i32 q6, q6, r9",
            "add r8, #4 * {apart} - 4 * {sums} - 8",
            "vadd.i32 q6, q6, r8",
            "ldrd r4, r6, [r0, #16]",
            "ldr r2, [r0, #4]",
            "ldr r12, [r0, #32]",
            $begin_meet,
            ".rept {pairs}",
            "movs r9, #8",
            "vadd.i32 q6, q6, r9",
            "vmov q7, q6",
            $next_pair,
            "ldrd r8, r9, [r12]",
            "ldrd r10, r11, [r12, #8]",
            "dlstp.32 lr, r4",
            "3:",
            $meet,
            "letp lr, 3b",
            "strd r8, r9, [r12], #8",
            "strd r10, r11, [r12], #8",
            ".endr",
            "mov r1, #{apart}",
            "mul r1, r1, r4",
            "add sp, r1",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
            sums = const $sums,
            apart = const 4 * $sums * $pushes,
            pairs = const $sums / 2,
        )
    };
}

/// A loop over rows with one position: r4, r6, … are the sums, r0, r1, … point to weights, which have to be
/// low registers where a load widens, r9 to activations.
macro_rules! rows {
    ($name:ident, $doc:literal, $n:tt, $walk:ident, meet: $meet:ident, pushes: $pushes:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there for as many groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &Tile) {
            tile!(
                sums: $n,
                pushes: $pushes,
                begin: concat!(
                    "mov r4, r0\n ldrd r0, r6, [r4]\n ldr r9, [r4, #8]\n ldr r11, [r4, #16]\n",
                    "add r1, r0, r6\n add r2, r1, r6\n add r3, r2, r6\n add r5, r3, r6\n add r7, r5, r6\n",
                    $walk!(begin)
                ),
                walk: $walk!($n),
                again: "subs r11, #1\n bne 2b",

                next_pair: concat!("mov r1, r6\n add r3, r6, r2\n add r6, r3, r2\n", $meet!(next_rows)),
                begin_meet: $meet!(begin),
                meet: $meet!($n)
            )
        }
    };
}

/// A loop over two rows with four positions: r0, r2, … are the sums, r1 and r3 point to weights, r5, r7, … to
/// activations.
macro_rules! positions {
    ($name:ident, $doc:literal, $walk:ident, meet: $meet:ident, pushes: $pushes:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there for as many groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &Tile) {
            tile!(
                sums: 8,
                pushes: $pushes,
                begin: concat!(
                    "ldrd r1, r2, [r0]\n add r3, r1, r2\n",
                    "ldrd r5, r2, [r0, #8]\n add r7, r5, r2\n add r9, r7, r2\n add r11, r9, r2\n",
                    "ldr r2, [r0, #16]\n vmov s30, r2\n",
                    $walk!(begin)
                ),
                walk: $walk!(8),
                again: "vmov r0, s30\n subs r0, #1\n vmov s30, r0\n bne 2b",

                next_pair: concat!("mov r1, r6\n add r3, r6, r2\n", $meet!(next_position)),
                begin_meet: $meet!(begin),
                meet: $meet!(8)
            )
        }
    };
}

/// `$row` for each of so many rows.
macro_rules! each_row {
    (4, $row:ident, $op:literal) => {
        concat!($row!("r0", "r4", $op), $row!("r1", "r6", $op), $row!("r2", "r8", $op), $row!("r3", "r10", $op))
    };
    (6, $row:ident, $op:literal) => {
        concat!(each_row!(4, $row, $op), $row!("r5", "r12", $op), $row!("r7", "lr", $op))
    };
}

/// `$position` for each of four positions, with the sums of both rows.
macro_rules! each_position {
    ($position:ident, $op:literal) => {
        concat!(
            $position!("r5", "r0", "r2", $op),
            $position!("r7", "r4", "r6", $op),
            $position!("r9", "r8", "r10", $op),
            $position!("r11", "r12", "lr", $op)
        )
    };
}

macro_rules! push {
    (4) => {
        "stmdb sp!, {{r4, r6, r8, r10}}\n"
    };
    (6) => {
        "stmdb sp!, {{r4, r6, r8, r10, r12, lr}}\n"
    };
    (8) => {
        "stmdb sp!, {{r0, r2, r4, r6, r8, r10, r12, lr}}\n"
    };
}

// Bytes by bytes: 16 columns at a time.

macro_rules! bytes_i8 {
    (begin) => {
        ""
    };
    ($n:tt) => {
        concat!(
            bytes_i8!($n, "vmladav"),
            bytes_i8!($n, "vmladava"),
            push!($n),
            bytes_i8!($n, "vmladav"),
            bytes_i8!($n, "vmladava"),
            push!($n)
        )
    };
    (8, $op:literal) => {
        concat!("vldrw.u32 q0, [r1], #16\n vldrw.u32 q1, [r3], #16\n", each_position!(bytes_i8_position, $op))
    };
    ($n:tt, $op:literal) => {
        concat!("vldrw.u32 q2, [r9], #16\n", each_row!($n, bytes_i8_row, $op))
    };
}

macro_rules! bytes_i8_row {
    ($w:literal, $sum:literal, $op:literal) => {
        concat!("vldrw.u32 q0, [", $w, "], #16\n ", $op, ".s8 ", $sum, ", q0, q2\n")
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
    (8, $op:literal) => {
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
        "vmov.i8 q6, #15\n"
    };
    (8) => {
        concat!(
            "vldrw.u32 q1, [r1], #16\n vand q0, q1, q6\n vldrw.u32 q3, [r3], #16\n vshr.u8 q1, q1, #4\n",
            "vand q2, q3, q6\n vshr.u8 q3, q3, #4\n",
            each_position!(nibbles_i8_position, "vmladav"),
            push!(8)
        )
    };
    ($n:tt) => {
        concat!(
            "vldrw.u32 q2, [r9], #16\n vldrw.u32 q3, [r9], #16\n",
            each_row!($n, nibbles_i8_row, "vmladav"),
            push!($n)
        )
    };
}

macro_rules! nibbles_i8_row {
    ($w:literal, $sum:literal, $op:literal) => {
        concat!(
            "vldrw.u32 q1, [",
            $w,
            "], #16\n vand q0, q1, q6\n vmladav.s8 ",
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
            ", q0, q4\n vldrw.u32 q5, [",
            $x,
            "], #16\n",
            "vmladav.s8 ",
            $b,
            ", q2, q4\n vmladava.s8 ",
            $a,
            ", q1, q5\n vmladava.s8 ",
            $b,
            ", q3, q5\n"
        )
    };
}

// Nibbles by 16 bits: 16 columns at a time, two runs of 8.

macro_rules! nibbles_i16 {
    (begin) => {
        "vmov.i16 q6, #15\n"
    };
    (unpack) => {
        concat!(
            "vldrb.u16 q1, [r1], #8\n vand q0, q1, q6\n vldrb.u16 q3, [r3], #8\n vshr.u16 q1, q1, #4\n",
            "vand q2, q3, q6\n vshr.u16 q3, q3, #4\n"
        )
    };
    ($n:tt) => {
        concat!(nibbles_i16!($n, "vmladav", "#-16"), nibbles_i16!($n, "vmladava", "#16"), push!($n))
    };
    (8, "vmladav", $next:literal) => {
        concat!(nibbles_i16!(unpack), each_position!(nibbles_i16_first, "vmladav"))
    };
    (8, "vmladava", $next:literal) => {
        concat!(nibbles_i16!(unpack), each_position!(nibbles_i16_second, "vmladava"))
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
            "], #8\n vand q0, q1, q6\n ",
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
            ", q0, q4\n vldrw.u32 q5, [",
            $x,
            "], #-16\n ",
            $op,
            ".s16 ",
            $b,
            ", q2, q4\n vmladava.s16 ",
            $a,
            ", q1, q5\n vmladava.s16 ",
            $b,
            ", q3, q5\n"
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
            ", q0, q4\n vldrw.u32 q5, [",
            $x,
            "], #16\n ",
            $op,
            ".s16 ",
            $b,
            ", q2, q4\n vmladava.s16 ",
            $a,
            ", q1, q5\n vmladava.s16 ",
            $b,
            ", q3, q5\n"
        )
    };
}

// Sums of bytes by bytes: each two meet the activations' scales first, then the weights'.

macro_rules! meet_bytes_i8 {
    (begin) => {
        // A lane's two scales are neighbours.
        concat!(
            "ldr r5, [r0, #24]\n movs r10, #0\n vidup.u32 q4, r10, #8\n sub r5, #32\n vadd.i32 q4, q4, r5\n",
            "ldr r7, [r0, #12]\n"
        )
    };
    (next_rows) => {
        "vmov q5, q4\n"
    };
    (next_position) => {
        "vmov q5, q4\n vadd.i32 q4, q4, r7\n"
    };
    ($n:tt) => {
        concat!(
            "vldrw.u32 q0, [q5, #32]!\n vldrw.u32 q1, [q5, #4]\n",
            "vldrw.u32 q2, [q7, #-4*{apart}]!\n vmul.i32 q2, q2, q0\n",
            "vldrw.u32 q3, [q7, #-4*{sums}]\n vmul.i32 q3, q3, q1\n",
            "vadd.i32 q2, q2, q3\n vldrb.u32 q3, [r1], #4\n vmlaldava.s32 r8, r9, q2, q3\n",
            "vldrw.u32 q2, [q7, #4]\n vmul.i32 q2, q2, q0\n",
            "vldrw.u32 q3, [q7, #4-4*{sums}]\n vmul.i32 q3, q3, q1\n",
            "vadd.i32 q2, q2, q3\n vldrb.u32 q3, [r3], #4\n vmlaldava.s32 r10, r11, q2, q3\n"
        )
    };
}

// Sums of bytes by 16 bits meet the weights' scales.

macro_rules! meet_bytes_i16 {
    (begin) => {
        ""
    };
    (next_rows) => {
        ""
    };
    (next_position) => {
        ""
    };
    ($n:tt) => {
        concat!(
            "vldrw.u32 q2, [q7, #-4*{apart}]!\n vldrb.u32 q3, [r1], #4\n vmlaldava.s32 r8, r9, q2, q3\n",
            "vldrw.u32 q2, [q7, #4]\n vldrb.u32 q3, [r3], #4\n vmlaldava.s32 r10, r11, q2, q3\n"
        )
    };
}

// Sums of unsigned integers by bytes: the correction, the activations' scales, the weights'.

macro_rules! meet_unsigned_i8 {
    (begin) => {
        "ldrd r5, r7, [r0, #24]\n vmov s16, s17, r5, r7\n"
    };
    (next_rows) => {
        "vmov r5, r7, s16, s17\n"
    };
    (next_position) => {
        concat!(
            "vmov r5, r7, s16, s17\n",
            "ldr r9, [r0, #12]\n add r10, r9, r5\n add r11, r9, r7\n vmov s16, s17, r10, r11\n"
        )
    };
    ($n:tt) => {
        concat!(
            "vldrw.u32 q0, [r5], #16\n vldrw.u32 q1, [r7], #16\n",
            "vldrw.u32 q2, [q7, #-4*{apart}]!\n vadd.i32 q2, q2, q1\n vldrb.s32 q3, [r1], #4\n",
            "vmul.i32 q2, q2, q0\n vmlaldava.s32 r8, r9, q2, q3\n",
            "vldrw.u32 q2, [q7, #4]\n vadd.i32 q2, q2, q1\n vldrb.s32 q3, [r3], #4\n",
            "vmul.i32 q2, q2, q0\n vmlaldava.s32 r10, r11, q2, q3\n"
        )
    };
}

// Sums of unsigned integers by 16 bits: the correction, the weights' scales.

macro_rules! meet_unsigned_i16 {
    (begin) => {
        "ldr r5, [r0, #28]\n"
    };
    (next_rows) => {
        "mov r7, r5\n"
    };
    (next_position) => {
        "mov r7, r5\n ldr r9, [r0, #12]\n add r5, r5, r9\n"
    };
    ($n:tt) => {
        concat!(
            "vldrw.u32 q1, [r7], #16\n",
            "vldrw.u32 q2, [q7, #-4*{apart}]!\n vadd.i32 q2, q2, q1\n vldrb.s32 q3, [r1], #4\n",
            "vmlaldava.s32 r8, r9, q2, q3\n",
            "vldrw.u32 q2, [q7, #4]\n vadd.i32 q2, q2, q1\n vldrb.s32 q3, [r3], #4\n",
            "vmlaldava.s32 r10, r11, q2, q3\n"
        )
    };
}

rows!(bytes_i8_by_six, "Six rows of bytes with 8-bit activations.", 6, bytes_i8, meet: meet_bytes_i8, pushes: 2);
rows!(bytes_i8_by_four, "Four rows of bytes with 8-bit activations.", 4, bytes_i8, meet: meet_bytes_i8, pushes: 2);
positions!(bytes_i8_by_positions, "Bytes with 8-bit activations.", bytes_i8, meet: meet_bytes_i8, pushes: 2);
rows!(bytes_i16_by_six, "Six rows of bytes with 16-bit activations.", 6, bytes_i16, meet: meet_bytes_i16, pushes: 1);
rows!(bytes_i16_by_four, "Four rows of bytes with 16-bit activations.", 4, bytes_i16, meet: meet_bytes_i16, pushes: 1);
positions!(bytes_i16_by_positions, "Bytes with 16-bit activations.", bytes_i16, meet: meet_bytes_i16, pushes: 1);
rows!(nibbles_i8_by_six, "Six rows of nibbles with 8-bit activations.", 6, nibbles_i8, meet: meet_unsigned_i8, pushes: 1);
rows!(nibbles_i8_by_four, "Four rows of nibbles with 8-bit activations.", 4, nibbles_i8, meet: meet_unsigned_i8, pushes: 1);
positions!(nibbles_i8_by_positions, "Nibbles with 8-bit activations.", nibbles_i8, meet: meet_unsigned_i8, pushes: 1);
rows!(nibbles_i16_by_six, "Six rows of nibbles with 16-bit activations.", 6, nibbles_i16, meet: meet_unsigned_i16, pushes: 1);
rows!(nibbles_i16_by_four, "Four rows of nibbles with 16-bit activations.", 4, nibbles_i16, meet: meet_unsigned_i16, pushes: 1);
positions!(nibbles_i16_by_positions, "Nibbles with 16-bit activations.", nibbles_i16, meet: meet_unsigned_i16, pushes: 1);

// Two planes: a group of two rows at a time. The high plane's bytes lie in every lane that has a bit of them; shifts that
// differ from lane to lane bring a lane's bits to its top.

/// A loop over two rows with one position: r4 and r6 are the sums, r0 and r1 point to weights, r9 to activations. A group
/// is unpacked to q0 and q2.
macro_rules! planes {
    ($name:ident, $doc:literal, $unpack:ident, $multiply:ident, meet: $meet:ident) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there for as many groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &Tile) {
            tile!(
                sums: 2,
                pushes: 1,
                begin: concat!(
                    "mov r4, r0\n ldrd r0, r6, [r4]\n ldr r9, [r4, #8]\n ldr r11, [r4, #16]\n add r1, r0, r6\n",
                    $unpack!(begin)
                ),
                walk: concat!(
                    $unpack!("r0"),
                    $multiply!("r4"),
                    $unpack!("r1"),
                    $multiply!("r6"),
                    $multiply!(next),
                    "stmdb sp!, {{r4, r6}}\n"
                ),
                again: "subs r11, #1\n bne 2b",
                next_pair: concat!("mov r1, r6\n add r3, r6, r2\n add r6, r3, r2\n", $meet!(next_rows)),
                begin_meet: $meet!(begin),
                meet: $meet!(2)
            )
        }
    };
}

/// What brings a lane's 2 bits to its top: 6 for lanes 0 to 7, 4 for the others; in q5.
macro_rules! shifts_of_two {
    () => {
        "vmov.i8 q5, #6\n mov r2, #0x04040404\n vmov s22, s23, r2, r2\n"
    };
}

/// What brings a lane's bit to its top: 7 for lanes 0 to 3, 6, 5, 4; in q4.
macro_rules! shifts_of_one {
    () => {
        concat!(
            "mov r2, #0x07070707\n mov r3, #0x06060606\n vmov s16, s17, r2, r3\n",
            "mov r2, #0x05050505\n mov r3, #0x04040404\n vmov s18, s19, r2, r3\n"
        )
    };
}

macro_rules! six_bits {
    (begin) => {
        concat!(shifts_of_two!(), "vmov.i8 q6, #2\n mov r2, #0\n vmov s26, s27, r2, r2\n")
    };
    ($w:literal) => {
        concat!(
            "vldrw.u32 q0, [",
            $w,
            "], #16\n ldrd r7, r8, [",
            $w,
            "], #8\n",
            "vmov q3[2], q3[0], r7, r7\n vmov q3[3], q3[1], r8, r8\n",
            "vshr.u8 q2, q0, #4\n vshl.u8 q1, q3, q5\n vshl.u8 q3, q3, q6\n",
            "vshr.u8 q1, q1, #6\n vshr.u8 q3, q3, #6\n vsli.8 q0, q1, #4\n vsli.8 q2, q3, #4\n"
        )
    };
}

macro_rules! five_bits {
    (begin) => {
        concat!(shifts_of_one!(), "vmov.i8 q5, #4\n vsub.i8 q5, q4, q5\n")
    };
    ($w:literal) => {
        concat!(
            "vldrw.u32 q0, [",
            $w,
            "], #16\n ldr r7, [",
            $w,
            "], #4\n vdup.32 q3, r7\n",
            "vshr.u8 q2, q0, #4\n vshl.u8 q1, q3, q4\n vshl.u8 q3, q3, q5\n",
            "vshr.u8 q1, q1, #7\n vshr.u8 q3, q3, #7\n vsli.8 q0, q1, #4\n vsli.8 q2, q3, #4\n"
        )
    };
}

macro_rules! three_bits {
    (begin) => {
        concat!(shifts_of_one!(), shifts_of_two!())
    };
    ($w:literal) => {
        concat!(
            "ldrd r7, r8, [",
            $w,
            "], #8\n vmov q2[2], q2[0], r7, r7\n vmov q2[3], q2[1], r8, r8\n",
            "ldr r7, [",
            $w,
            "], #4\n vdup.32 q3, r7\n",
            "vshl.u8 q0, q2, q5\n vshl.u8 q1, q3, q4\n vshr.u8 q0, q0, #6\n vshr.u8 q1, q1, #7\n vsli.8 q0, q1, #2\n",
            "vshr.u8 q2, q2, #4\n vshr.u8 q3, q3, #4\n vshl.u8 q2, q2, q5\n vshl.u8 q3, q3, q4\n",
            "vshr.u8 q2, q2, #6\n vshr.u8 q3, q3, #7\n vsli.8 q2, q3, #2\n"
        )
    };
}

macro_rules! unpacked_i8 {
    (next) => {
        "add r9, #32\n"
    };
    ($sum:literal) => {
        concat!(
            "vldrw.u32 q1, [r9]\n vmladav.s8 ",
            $sum,
            ", q0, q1\n",
            "vldrw.u32 q3, [r9, #16]\n vmladava.s8 ",
            $sum,
            ", q2, q3\n"
        )
    };
}

macro_rules! unpacked_i16 {
    (next) => {
        "add r9, #64\n"
    };
    ($sum:literal) => {
        concat!(
            "vldrw.u32 q3, [r9]\n vmovlb.u8 q1, q0\n vmladav.s16 ",
            $sum,
            ", q1, q3\n",
            "vldrw.u32 q3, [r9, #16]\n vmovlt.u8 q0, q0\n vmladava.s16 ",
            $sum,
            ", q0, q3\n",
            "vldrw.u32 q3, [r9, #32]\n vmovlb.u8 q1, q2\n vmladava.s16 ",
            $sum,
            ", q1, q3\n",
            "vldrw.u32 q3, [r9, #48]\n vmovlt.u8 q2, q2\n vmladava.s16 ",
            $sum,
            ", q2, q3\n"
        )
    };
}

planes!(six_bits_i8, "Two rows of 6 bits with 8-bit activations.", six_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(five_bits_i8, "Two rows of 5 bits with 8-bit activations.", five_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(three_bits_i8, "Two rows of 3 bits with 8-bit activations.", three_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(six_bits_i16, "Two rows of 6 bits with 16-bit activations.", six_bits, unpacked_i16, meet: meet_unsigned_i16);
planes!(five_bits_i16, "Two rows of 5 bits with 16-bit activations.", five_bits, unpacked_i16, meet: meet_unsigned_i16);
planes!(three_bits_i16, "Two rows of 3 bits with 16-bit activations.", three_bits, unpacked_i16, meet: meet_unsigned_i16);
