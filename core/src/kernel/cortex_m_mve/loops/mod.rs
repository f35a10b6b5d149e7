//! The loops over whole groups, written by hand: the compiler knows no way to keep this many sums in registers.
//!
//! A tile is six or four rows with one position, two rows with four positions, or two rows of two planes with one. A walk
//! through its groups pushes each group's integer sums onto the stack, at most 1 KiB of them. Then two sums at a time,
//! four groups a vector, meet their scales in 64 bits.
//!
//! By Arm's published timings for Cortex-M55 a vector instruction takes two cycles, the second of which it shares with
//! the next one where one loads and the other does not: the longer of the two lines counts. Cycles are for no wait states.
//!
//! | walk | unit | loads | unpacking | products | rest | instructions a MAC | cycles a MAC |
//! |---|---|---|---|---|---|---|---|
//! | [`bytes_i8_by_six`] | 64 columns of 6 rows | 28 | | 24 | 4 | 0.146 | 0.17 |
//! | [`bytes_i8_by_positions`] | 64 of 2 rows, 4 positions | 24 | | 32 | 6 | 0.121 | 0.15 |
//! | [`bytes_i16_by_six`] | 64 of 6 rows | 56 | | 48 | 3 | 0.279 | 0.31 |
//! | [`bytes_i16_by_positions`] | 64 of 2 rows, 4 positions | 48 | | 64 | 5 | 0.229 | 0.27 |
//! | [`nibbles_i8_by_six`] | 32 of 6 rows | 8 | 12 | 12 | 3 | 0.182 | 0.29 |
//! | [`nibbles_i8_by_positions`] | 32 of 2 rows, 4 positions | 10 | 4 | 16 | 5 | 0.137 | 0.20 |
//! | [`nibbles_i16_by_six`] | 32 of 6 rows | 16 | 24 | 24 | 3 | 0.349 | 0.54 |
//! | [`nibbles_i16_by_positions`] | 32 of 2 rows, 4 positions | 20 | 8 | 32 | 5 | 0.254 | 0.35 |
//! | [`six_bits_i8`] | 32 of 2 rows | 8 | 18 | 4 | 4 | 0.531 | |
//! | [`six_bits_i16`] | 32 of 2 rows | 12 | 26 | 8 | 4 | 0.781 | |
//!
//! Meeting the scales takes 17 instructions for four groups of 64 bytes of two rows with 8-bit activations, 7 with 16-bit
//! ones, and 13 or 10 for four groups of 32 of the other formats: 0.033, 0.014, 0.051 and 0.039 a MAC.

#[macro_use]
mod meet;
#[macro_use]
mod planes;
#[macro_use]
mod walks;

use core::arch::naked_asm;

/// Groups that a loop may be given at most: what they push is 1 KiB.
pub const MAX_GROUPS: usize = 32;

/// What a loop works on; it leaves pointers to what is behind.
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
    /// Bytes from tile to tile.
    pub tile_stride: usize,
    /// Tiles, from 1 on.
    pub tiles: usize,
}

impl Tile {
    /// Runs the loop over so many tiles, `stride` bytes apart.
    ///
    /// # Safety
    /// What the tile points to is there for all of them.
    #[inline(always)]
    pub unsafe fn take(&mut self, run: Run, stride: usize, tiles: usize) {
        if tiles > 0 {
            (self.tile_stride, self.tiles) = (stride, tiles);
            // SAFETY: the caller's.
            unsafe { run(self) };
        }
    }
}

/// A loop over tiles.
pub type Run = unsafe extern "C" fn(&mut Tile);

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
            "1:",
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
            "add r8, #4 * {apart} - 4 * {sums}",
            "vadd.i32 q6, q6, r8",
            "ldrd r4, r6, [r0, #16]",
            "ldr r2, [r0, #4]",
            "ldr r12, [r0, #32]",
            $begin_meet,
            ".set offset, 0",
            ".rept {pairs}",
            "movs r9, #offset",
            ".set offset, offset + 8",
            "vadd.i32 q7, q6, r9",
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
            // The next tile.
            "ldrd r1, r2, [r0, #36]",
            "ldr r3, [r0]",
            "ldr r6, [r0, #20]",
            "str r12, [r0, #32]",
            "add r3, r1",
            "add r6, r1",
            "subs r2, #1",
            "str r3, [r0]",
            "str r6, [r0, #20]",
            "str r2, [r0, #40]",
            "bne 1b",
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
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
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
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
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

/// A loop over two rows with one position: r4 and r6 are the sums, r0 and r1 point to weights, r9 to activations.
macro_rules! planes {
    ($name:ident, $doc:literal, $unpack:ident, $multiply:ident, meet: $meet:ident) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
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

planes!(six_bits_i8, "Two rows of 6 bits with 8-bit activations.", six_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(five_bits_i8, "Two rows of 5 bits with 8-bit activations.", five_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(three_bits_i8, "Two rows of 3 bits with 8-bit activations.", three_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(six_bits_i16, "Two rows of 6 bits with 16-bit activations.", six_bits, unpacked_i16, meet: meet_unsigned_i16);
planes!(five_bits_i16, "Two rows of 5 bits with 16-bit activations.", five_bits, unpacked_i16, meet: meet_unsigned_i16);
planes!(three_bits_i16, "Two rows of 3 bits with 16-bit activations.", three_bits, unpacked_i16, meet: meet_unsigned_i16);
