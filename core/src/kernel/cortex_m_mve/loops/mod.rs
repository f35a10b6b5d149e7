//! The loops over whole groups, written by hand: the compiler knows no way to keep this many sums in registers.
//!
//! A tile is eight, six or four rows with one position, or two rows with four positions. A walk through its groups pushes
//! each group's integer sums onto the stack, at most 1 KiB of them. Then three or four sums
//! at a time, four groups a vector, meet their scales in 64 bits.
//!
//! By Arm's published timings for Cortex-M55 a vector instruction takes two cycles, the second of which it shares with
//! the next one where one loads and the other does not: the longer of the two lines counts. Cycles are for no wait states.
//!
//! | walk | unit | loads | unpacking | products | rest | instructions a MAC | cycles a MAC |
//! |---|---|---|---|---|---|---|---|
//! | [`bytes_i8_by_eight`] | 64 columns of 8 rows | 36 | | 32 | 4.5 | 0.142 | 0.16 |
//! | [`bytes_i8_by_positions`] | 64 of 2 rows, 4 positions | 24 | | 32 | 4 | 0.117 | 0.15 |
//! | [`bytes_i16_by_six`] | 64 of 6 rows | 56 | | 48 | 2 | 0.276 | 0.30 |
//! | [`bytes_i16_by_positions`] | 64 of 2 rows, 4 positions | 48 | | 64 | 3 | 0.225 | 0.26 |
//! | [`nibbles_i8_by_eight`] | 32 of 8 rows | 10 | 16 | 16 | 2.5 | 0.174 | 0.29 |
//! | [`nibbles_i8_by_positions`] | 32 of 2 rows, 4 positions | 10 | 4 | 16 | 3 | 0.129 | 0.19 |
//! | [`nibbles_i16_by_six`] | 32 of 6 rows | 16 | 24 | 24 | 2 | 0.344 | 0.53 |
//! | [`nibbles_i16_by_positions`] | 32 of 2 rows, 4 positions | 20 | 8 | 32 | 3 | 0.246 | 0.34 |
//! | [`six_bits_i8`] | 32 of 4 rows | 16 | 36 | 8 | 4 | 0.500 | |
//! | [`six_bits_i16`] | 32 of 4 rows | 24 | 52 | 16 | 4 | 0.750 | |
//!
//! Meeting the scales takes 31 instructions for four groups of 64 bytes of four rows with 8-bit activations, 10 of three
//! rows with 16-bit ones, and 23 of four rows or 14 of three for four groups of 32 of the other formats: 0.030, 0.013,
//! 0.045 and 0.036 a MAC.

#[macro_use]
mod meet;
#[macro_use]
mod planes;
#[macro_use]
mod walks;

use core::arch::naked_asm;

/// Groups of 32 that a loop may be given at most: what they push is 1 KiB.
pub const MAX_GROUPS: usize = 32;

/// What a loop works on; it leaves pointers to what is behind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// The first row's scales.
    pub scales: *const u8,
    /// Bytes from row to row.
    pub stride: usize,
    /// The first row's weights, at a multiple of 4.
    pub weights: *const u8,
    /// Bytes from position to position.
    pub x_stride: usize,
    /// The first position's activations, at a multiple of 4.
    pub x: *const u32,
    /// Groups of weights, from 1 on.
    pub groups: usize,
    /// The first position's blocks, see [`Layout`](super::Layout).
    pub blocks: *const u32,
    /// The sums that grow: of each row, or of two rows for each position.
    pub sums: *mut i64,
    /// Tiles, from 1 on.
    pub tiles: usize,
    /// Where the loop's stack ended before it pushed.
    pub stack: usize,
}

impl Tile {
    /// Runs the loop over so many tiles.
    ///
    /// # Safety
    /// What the tile points to is there for all of them.
    #[inline(always)]
    pub unsafe fn take(&mut self, run: Run, tiles: usize) {
        if tiles > 0 {
            self.tiles = tiles;
            // SAFETY: the caller's.
            unsafe { run(self) };
        }
    }
}

/// A loop over tiles.
pub type Run = unsafe extern "C" fn(&mut Tile);

/// The parts of a loop whose groups push `apart` bytes of sums: `begin` sets up registers, `walk` takes a step through
/// the weights, `again` repeats it. Then `totals` are loaded, `halves` times; `next` sets up what `meet`, with tail
/// predication, adds to them.
macro_rules! tile {
    (
        apart: $apart:literal, first: $first:literal, begin: $begin:expr, walk: $walk:expr, again: $again:expr,
        totals: $totals:literal, next: [$($next:expr, $from:expr),*], meet: $meet:expr
    ) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            // Where each lane's first sum is: downwards from the first group's.
            "mov r1, sp",
            "str r1, [r0, #36]",
            "mov r12, r0",
            "movs r2, #0",
            "vidup.u32 q6, r2, #1",
            "mvn r3, #{apart} - 1",
            "vmul.i32 q6, q6, r3",
            "add r1, #3 * {apart} + {first}",
            "vadd.i32 q6, q6, r1",
            "1:",
            "vmov s28, r12",
            $begin,
            "2:",
            $walk,
            $again,
            "vmov r12, s28",
            "push {{r12}}",
            $(
                $next,
                "ldr lr, [r12, #28]",
                concat!("ldm lr, {{", $totals, "}}"),
                $from,
                "ldrd lr, r12, [r12, #20]",
                "dlstp.32 lr, lr",
                "3:",
                $meet,
                "letp lr, 3b",
                "ldr r12, [sp]",
                "ldr lr, [r12, #28]",
                concat!("stm lr!, {{", $totals, "}}"),
                "str lr, [r12, #28]",
            )*
            // The next tile.
            "ldr sp, [r12, #36]",
            "ldr r1, [r12, #32]",
            "subs r1, #1",
            "str r1, [r12, #32]",
            "bne 1b",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
            apart = const $apart,
            first = const $first,
        )
    };
}

/// Where each lane's sum is, so many bytes behind its first one.
macro_rules! sums_from {
    (first) => {
        "vmov q7, q6\n"
    };
    ($bytes:literal) => {
        concat!("mov lr, #", $bytes, "\n vadd.i32 q7, q6, lr\n")
    };
}

/// Pointers to the scales of the next so many rows.
macro_rules! next_rows {
    (3) => {
        "ldrd r0, r5, [r12]\n add r1, r0, r5\n add r2, r1, r5\n add r5, r2, r5\n str r5, [r12]\n"
    };
    (4) => {
        "ldrd r0, r5, [r12]\n add r1, r0, r5\n add r2, r1, r5\n add r3, r2, r5\n add r5, r3, r5\n str r5, [r12]\n"
    };
}

/// A loop over eight or four rows with one position: r0, r1, … point to weights, r12 to activations.
macro_rules! rows {
    (8, $name:ident, $doc:literal, $walk:ident, meet: $meet:ident, apart: $apart:literal, row: $row:tt, half: $half:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
            tile!(
                apart: $apart,
                first: 0,
                begin: concat!(
                    "ldrd r4, r0, [r12, #4]\n add r1, r0, r4\n add r2, r1, r4\n add r3, r2, r4\n",
                    "add r5, r3, r4\n add r7, r5, r4\n add r9, r7, r4\n add r11, r9, r4\n",
                    "add r6, r11, r4\n str r6, [r12, #8]\n",
                    $walk!(begin),
                    "ldrd r12, r4, [r12, #16]\n",
                    "lsrs r4, r4, #1\n adc r4, r4, #0\n dls lr, r4\n bcs 4f\n"
                ),
                walk: concat!($walk!(8), "4:\n", $walk!(8)),
                again: "le lr, 2b",
                totals: "r4-r11",
                next: [next_rows!(4), sums_from!(first), next_rows!(4), sums_from!($half)],
                meet: meet_rows!(4, $meet, $row)
            )
        }
    };
    (4, $name:ident, $doc:literal, $walk:ident, meet: $meet:ident, apart: $apart:literal, row: $row:tt) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
            tile!(
                apart: $apart,
                first: 0,
                begin: concat!(
                    "ldrd r4, r0, [r12, #4]\n add r1, r0, r4\n add r2, r1, r4\n add r3, r2, r4\n",
                    "add r6, r3, r4\n str r6, [r12, #8]\n",
                    $walk!(begin),
                    "ldrd r12, lr, [r12, #16]\n dls lr, lr\n"
                ),
                walk: $walk!(4),
                again: "le lr, 2b",
                totals: "r4-r11",
                next: [next_rows!(4), sums_from!(first)],
                meet: meet_rows!(4, $meet, $row)
            )
        }
    };
}

/// A loop over six or four rows with one position, a sum of each under way: r4, r6, … are the sums, r0, r1, … point to
/// weights, which have to be low registers where a load widens, r9 to activations.
macro_rules! rows_at_once {
    (6, $name:ident, $doc:literal, $walk:ident, meet: $meet:ident) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
            tile!(
                apart: 24,
                first: 0,
                begin: concat!(
                    "ldrd r4, r0, [r12, #4]\n ldrd r9, r11, [r12, #16]\n",
                    "add r1, r0, r4\n add r2, r1, r4\n add r3, r2, r4\n add r5, r3, r4\n add r7, r5, r4\n",
                    "add r6, r7, r4\n str r6, [r12, #8]\n",
                    $walk!(begin),
                    "lsrs r11, r11, #1\n adc r11, r11, #0\n bcs 4f\n"
                ),
                walk: concat!($walk!(6), "4:\n", $walk!(6)),
                again: "subs r11, #1\n bne 2b",
                totals: "r4-r9",
                next: [next_rows!(3), sums_from!(first), next_rows!(3), sums_from!("12")],
                meet: meet_rows!(3, $meet, 4)
            )
        }
    };
    (4, $name:ident, $doc:literal, $walk:ident, meet: $meet:ident) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
            tile!(
                apart: 16,
                first: 0,
                begin: concat!(
                    "ldrd r4, r0, [r12, #4]\n ldrd r9, r11, [r12, #16]\n",
                    "add r1, r0, r4\n add r2, r1, r4\n add r3, r2, r4\n add r6, r3, r4\n str r6, [r12, #8]\n",
                    $walk!(begin)
                ),
                walk: $walk!(4),
                again: "subs r11, #1\n bne 2b",
                totals: "r4-r11",
                next: [next_rows!(4), sums_from!(first)],
                meet: meet_rows!(4, $meet, 4)
            )
        }
    };
}

/// A loop over two rows with four positions: r0, r2, … are the sums, r1 and r3 point to weights, r5, r7, … to
/// activations. Two steps a turn; of an odd number the first turn takes one.
macro_rules! positions {
    ($name:ident, $doc:literal, $walk:ident, meet: $meet:ident, apart: $apart:literal, first: $first:literal) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
            tile!(
                apart: $apart,
                first: $first,
                begin: concat!(
                    $walk!(begin),
                    "ldrd r2, r1, [r12, #4]\n add r3, r1, r2\n",
                    "add r2, r3, r2\n str r2, [r12, #8]\n ldr r2, [r12, #12]\n ldrd r5, r4, [r12, #16]\n add r7, r5, r2\n add r9, r7, r2\n add r11, r9, r2\n",
                    "lsrs r4, r4, #1\n adc r2, r4, #0\n vmov s30, r2\n bcs 4f\n"
                ),
                walk: concat!($walk!(positions), "4:\n", $walk!(positions)),
                again: "vmov r0, s30\n subs r0, #1\n vmov s30, r0\n bne 2b",
                totals: "r4-r11",
                next: [
                    concat!(
                        "ldrd r1, r5, [r12]\n add r3, r1, r5\n",
                        "ldr r0, [r12, #24]\n ldr r5, [r12, #12]\n add r2, r0, r5\n"
                    ),
                    sums_from!(first),
                    concat!(
                        "ldrd r1, r5, [r12]\n add r3, r1, r5\n add r5, r3, r5\n str r5, [r12]\n",
                        "ldr r0, [r12, #24]\n ldr r5, [r12, #12]\n add r0, r0, r5, lsl #1\n add r2, r0, r5\n"
                    ),
                    sums_from!("16")
                ],
                meet: meet_positions!($meet)
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
    (positions) => {
        push!(8)
    };
    (8) => {
        "stmdb sp!, {{r0, r2, r4, r6, r8, r10, r12, lr}}\n"
    };
}

/// A loop over four rows of two planes with one position: r4, r6, … are the sums, r0, r1, … point to weights, r9 to
/// activations.
macro_rules! planes {
    (four, $unpack:ident, $multiply:ident) => {
        concat!(
            $unpack!("r0"),
            $multiply!("r4"),
            $unpack!("r1"),
            $multiply!("r6"),
            $unpack!("r2"),
            $multiply!("r8"),
            $unpack!("r3"),
            $multiply!("r10"),
            $multiply!(next),
            push!(4)
        )
    };
    ($name:ident, $doc:literal, $unpack:ident, $multiply:ident, meet: $meet:ident) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// Everything that the tile points to is there, of as many tiles, groups, rows and positions as it has.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(tile: &mut Tile) {
            tile!(
                apart: 16,
                first: 0,
                begin: concat!(
                    "ldrd r4, r0, [r12, #4]\n ldrd r9, r11, [r12, #16]\n",
                    "add r1, r0, r4\n add r2, r1, r4\n add r3, r2, r4\n add r6, r3, r4\n str r6, [r12, #8]\n",
                    $unpack!(begin)
                ),
                walk: planes!(four, $unpack, $multiply),
                again: "subs r11, #1\n bne 2b",
                totals: "r4-r11",
                next: [next_rows!(4), sums_from!(first)],
                meet: meet_rows!(4, $meet, 4)
            )
        }
    };
}

rows!(8, bytes_i8_by_eight, "Eight rows of bytes with 8-bit activations.", bytes_i8, meet: meet_bytes_i8, apart: 64, row: 8, half: "32");
rows!(4, bytes_i8_by_four, "Four rows of bytes with 8-bit activations.", bytes_i8, meet: meet_bytes_i8, apart: 32, row: 8);
positions!(bytes_i8_by_positions, "Bytes with 8-bit activations.", bytes_i8, meet: meet_bytes_i8, apart: 64, first: 32);
rows_at_once!(6, bytes_i16_by_six, "Six rows of bytes with 16-bit activations.", bytes_i16, meet: meet_bytes_i16);
rows_at_once!(4, bytes_i16_by_four, "Four rows of bytes with 16-bit activations.", bytes_i16, meet: meet_bytes_i16);
positions!(bytes_i16_by_positions, "Bytes with 16-bit activations.", bytes_i16, meet: meet_bytes_i16, apart: 32, first: 0);
rows!(8, nibbles_i8_by_eight, "Eight rows of nibbles with 8-bit activations.", nibbles_i8, meet: meet_unsigned_i8, apart: 32, row: 4, half: "16");
rows!(4, nibbles_i8_by_four, "Four rows of nibbles with 8-bit activations.", nibbles_i8, meet: meet_unsigned_i8, apart: 16, row: 4);
positions!(nibbles_i8_by_positions, "Nibbles with 8-bit activations.", nibbles_i8, meet: meet_unsigned_i8, apart: 32, first: 0);
rows_at_once!(6, nibbles_i16_by_six, "Six rows of nibbles with 16-bit activations.", nibbles_i16, meet: meet_unsigned_i16);
rows_at_once!(4, nibbles_i16_by_four, "Four rows of nibbles with 16-bit activations.", nibbles_i16, meet: meet_unsigned_i16);
positions!(nibbles_i16_by_positions, "Nibbles with 16-bit activations.", nibbles_i16, meet: meet_unsigned_i16, apart: 32, first: 0);

planes!(six_bits_i8, "Four rows of 6 bits with 8-bit activations.", six_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(five_bits_i8, "Four rows of 5 bits with 8-bit activations.", five_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(three_bits_i8, "Four rows of 3 bits with 8-bit activations.", three_bits, unpacked_i8, meet: meet_unsigned_i8);
planes!(six_bits_i16, "Four rows of 6 bits with 16-bit activations.", six_bits, unpacked_i16, meet: meet_unsigned_i16);
planes!(five_bits_i16, "Four rows of 5 bits with 16-bit activations.", five_bits, unpacked_i16, meet: meet_unsigned_i16);
planes!(three_bits_i16, "Four rows of 3 bits with 16-bit activations.", three_bits, unpacked_i16, meet: meet_unsigned_i16);
