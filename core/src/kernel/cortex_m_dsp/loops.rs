//! The loops over whole groups, written by hand: they need all fourteen registers, of which the compiler keeps some for
//! itself.
//!
//! A loop multiplies group by group and pushes the groups' integer sums on the stack; a second one pops them and adds
//! each, times its scale, to 64 bits, for which only then there are registers. Cycles are Arm's published ones for
//! Cortex-M4 with memory that never waits: 1 an instruction, 1 more for each word that a load or store moves (loads in a
//! row share one of these), 2 more for a branch that is taken.
//!
//! | loop | unit | loads | unpacking | multiplying | instructions a MAC | cycles a MAC |
//! |---|---|---|---|---|---|---|
//! | [`bytes_by_rows`], [`unpacked_by_rows`] | 8 columns of 3 rows | 1 + 3 | 12 | 12 | 28 / 24 | 38 / 24 |
//! | [`nibbles_by_rows`] | 8 columns of 3 rows | 1 + 3 | 12 | 12 | 28 / 24 | 35 / 24 |
//! | [`bytes_by_four`], [`unpacked_by_four`] | 8 columns at 4 positions | 4 + 1 | 4 | 16 | 25 / 32 | 43 / 32 |
//! | [`nibbles_by_four`] | 8 columns at 4 positions | 4 + 1 | 5 | 16 | 26 / 32 | 43 / 32 |
//! | [`bytes_by_two`], [`unpacked_by_two`] | 8 columns at 2 positions | 2 + 1 | 4 | 8 | 15 / 16 | 25 / 16 |
//! | [`nibbles_by_two`] | 8 columns at 2 positions | 2 + 1 | 4 | 8 | 15 / 16 | 24 / 16 |
//! | a group's end by rows | 3 sums | | | | 14 | 38 |
//! | by four positions | 4 sums | | | | 12 | 39 |
//! | by two positions | 2 sums | | | | 10 | 33 |
//! | from three rows to the next | | | | | 18 | 49 |
//! | from one row to the next, at four positions | | | | | 14 | 49 |
//! | the same, at two positions | | | | | 17 | 42 |

use core::arch::naked_asm;

/// What a loop runs over: `times` times a unit of three rows at one position, or one row at some positions.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The first group's integers in the first row, at a multiple of 4; those of the others follow.
    pub weights: *const u8,
    /// The activations under them, as [`layout`](super::layout) puts them.
    pub x: *const u32,
    /// Bytes from row to row, of integers and of scales.
    pub stride: usize,
    /// Minus the number of groups, which is 1 to [`MAX_GROUPS`].
    pub minus_groups: isize,
    /// The last group's scale in the first row; those of the groups before it lie before it.
    pub last_scale: *const u8,
    /// Where the sums go, unit after unit, one for each of its rows, or positions.
    pub sums: *mut i64,
    /// Units, at least one.
    pub times: usize,
}

/// Groups whose sums a loop may push: 576 bytes of stack.
pub const MAX_GROUPS: usize = 24;

/// A loop: writes the integer sums.
///
/// # Safety
/// All that [`Run`] says is there.
pub type Loop = unsafe extern "C" fn(run: &Run);

/// A loop over three rows at one position. `eight` is a macro's body: eight columns of a row at `\row` into the sum
/// `\sum` with the activations in r4 to r7, the first product added to `\from`.
///
/// r0 to r2 point to the rows' weights, r3 to the activations, r8 to r10 are the group's sums. The stack has a copy of the
/// run, of what is left of it, and on top of that a frame a group: the sums, minus the number of groups that are left, and
/// where the last scale is. The first frame's third sum is one that no group has: it ends the second loop.
macro_rules! three_rows {
    (eight: $eight:expr, group: $group:expr, load_scale: $load_scale:literal, mask: $mask:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r3-r9}}",
            "push {{r3-r9}}",
            "ldm sp, {{r0, r3-r4, r11, lr}}",
            "1:",
            "add r1, r0, r4",
            "add r2, r1, r4",
            "mov r10, #0x80000000",
            "push {{r8-r11, lr}}",
            $mask,
            ".macro EIGHT row, sum, from",
            $eight,
            ".endm",
            "2:",
            $group,
            "ldrd r11, lr, [sp, #12]",
            "adds r11, #1",
            "push {{r8-r11, lr}}",
            "bne 2b",
            ".purgem EIGHT",
            "sub r4, r1, r0",
            ".macro SCALES",
            concat!($load_scale, " r7, [lr, r11]"),
            "add r11, lr",
            concat!($load_scale, " r12, [r11, r4]"),
            concat!($load_scale, " r11, [r11, r4, lsl #1]"),
            ".endm",
            "pop {{r8-r11, lr}}",
            "SCALES",
            "smull r0, r1, r8, r7",
            "smull r2, r3, r9, r12",
            "smull r5, r6, r10, r11",
            "b 4f",
            "3:",
            "SCALES",
            "smlal r0, r1, r8, r7",
            "smlal r2, r3, r9, r12",
            "smlal r5, r6, r10, r11",
            "4:",
            "pop {{r8-r11, lr}}",
            "cmp r10, #0x80000000",
            "bne 3b",
            ".purgem SCALES",
            "ldrd r7, r8, [sp, #20]",
            "stm r7!, {{r0-r3, r5-r6}}",
            "ldm sp, {{r0, r3-r4, r11, lr}}",
            "add r1, r4, r4, lsl #1",
            "add r0, r1",
            "add lr, r1",
            "subs r8, #1",
            "str r0, [sp]",
            "str lr, [sp, #16]",
            "strd r7, r8, [sp, #20]",
            "bne 1b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// The body of `eight` for bytes.
macro_rules! eight_bytes {
    () => {
        r"
        ldrd r11, r12, [\row], #8
        sxtb16 lr, r11
        sxtb16 r11, r11, ror #8
        .ifc \from, none
        smuad \sum, lr, r4
        .else
        smlad \sum, lr, r4, \from
        .endif
        smlad \sum, r11, r5, \sum
        sxtb16 lr, r12
        sxtb16 r12, r12, ror #8
        smlad \sum, lr, r6, \sum
        smlad \sum, r12, r7, \sum"
    };
}

pub(super) use eight_bytes;

/// A group of 32 columns under a correction. The first load brings it too, and all three sums start from it, the one
/// it is in last.
macro_rules! corrected_group_of_rows {
    () => {
        r"
        ldm r3!, {{r4-r8}}
        EIGHT r2, r10, r8
        EIGHT r1, r9, r8
        EIGHT r0, r8, r8
        .rept 3
        ldm r3!, {{r4-r7}}
        EIGHT r0, r8, r8
        EIGHT r1, r9, r9
        EIGHT r2, r10, r10
        .endr"
    };
}

/// Three rows of signed bytes in groups of 64.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn bytes_by_rows(run: &Run) {
    three_rows!(
        eight: eight_bytes!(),
        group: r"
            ldm r3!, {{r4-r7}}
            EIGHT r0, r8, none
            EIGHT r1, r9, none
            EIGHT r2, r10, none
            .rept 7
            ldm r3!, {{r4-r7}}
            EIGHT r0, r8, r8
            EIGHT r1, r9, r9
            EIGHT r2, r10, r10
            .endr",
        load_scale: "ldrb",
        mask: ""
    )
}

/// Three rows of unsigned bytes below 64 in groups of 32, their offset in the corrections.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn unpacked_by_rows(run: &Run) {
    three_rows!(eight: eight_bytes!(), group: corrected_group_of_rows!(), load_scale: "ldrsb", mask: "")
}

/// Three rows of nibbles in groups of 32.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn nibbles_by_rows(run: &Run) {
    three_rows!(
        eight: r"
            ldr r11, [\row], #4
            and lr, r12, r11
            smlad \sum, lr, r4, \from
            and lr, r12, r11, lsr #8
            smlad \sum, lr, r5, \sum
            and lr, r12, r11, lsr #4
            smlad \sum, lr, r6, \sum
            and lr, r12, r11, lsr #12
            smlad \sum, lr, r7, \sum",
        group: corrected_group_of_rows!(),
        load_scale: "ldrsb",
        mask: "mov r12, #0x000F000F"
    )
}

/// A loop over one row at four positions whose activations alternate, four words each. `unpack` is a macro's body:
/// eight columns at r0 into r6 to r9, in the order of the activations.
///
/// r0 points to the weights, r1 to the activations, r2 to r5 are the group's sums, r10 to r12 and lr a position's
/// activations. A frame holds the sums, minus the number of groups that are left, and where the last scale is; the first
/// frame ends the second loop, as in `three_rows`.
macro_rules! four_positions {
    (unpack: $unpack:expr, group: $group:expr, load_scale: $load_scale:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r3-r9}}",
            "push {{r3-r9}}",
            "ldm sp, {{r0-r2, r6-r7}}",
            "1:",
            "mov r5, #0x80000000",
            "push {{r2-r7}}",
            ".macro DOT sum, multiply",
            "ldm r1!, {{r10-r12, lr}}",
            r".ifc \multiply, smuad",
            r"smuad \sum, r6, r10",
            ".else",
            r"smlad \sum, r6, r10, \sum",
            ".endif",
            r"smlad \sum, r7, r11, \sum",
            r"smlad \sum, r8, r12, \sum",
            r"smlad \sum, r9, lr, \sum",
            ".endm",
            ".macro UNPACK",
            $unpack,
            ".endm",
            ".macro EIGHT",
            "UNPACK",
            "DOT r2, smlad",
            "DOT r3, smlad",
            "DOT r4, smlad",
            "DOT r5, smlad",
            ".endm",
            "2:",
            $group,
            "ldrd r6, r7, [sp, #16]",
            "adds r6, #1",
            "push {{r2-r7}}",
            "bne 2b",
            ".purgem DOT",
            ".purgem UNPACK",
            ".purgem EIGHT",
            "pop {{r2-r7}}",
            concat!($load_scale, " r6, [r7, r6]"),
            "smull r0, r1, r2, r6",
            "smull r8, r9, r3, r6",
            "smull r10, r11, r4, r6",
            "smull r12, lr, r5, r6",
            "b 4f",
            "3:",
            concat!($load_scale, " r6, [r7, r6]"),
            "smlal r0, r1, r2, r6",
            "smlal r8, r9, r3, r6",
            "smlal r10, r11, r4, r6",
            "smlal r12, lr, r5, r6",
            "4:",
            "pop {{r2-r7}}",
            "cmp r5, #0x80000000",
            "bne 3b",
            "ldrd r2, r3, [sp, #20]",
            "stm r2!, {{r0-r1, r8-r12, lr}}",
            "ldm sp, {{r0-r1, r4, r6-r7}}",
            "add r0, r4",
            "add r7, r4",
            "subs r3, #1",
            "str r0, [sp]",
            "str r7, [sp, #16]",
            "strd r2, r3, [sp, #20]",
            "bne 1b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// The body of `unpack` for bytes.
macro_rules! unpack_bytes {
    () => {
        r"
        ldrd r7, r9, [r0], #8
        sxtb16 r6, r7
        sxtb16 r7, r7, ror #8
        sxtb16 r8, r9
        sxtb16 r9, r9, ror #8"
    };
}

pub(super) use unpack_bytes;

/// A group of 64 columns.
macro_rules! group_of_four {
    () => {
        r"
        UNPACK
        DOT r2, smuad
        DOT r3, smuad
        DOT r4, smuad
        DOT r5, smuad
        .rept 7
        EIGHT
        .endr"
    };
}

/// A group of 32 columns under one correction a position.
macro_rules! corrected_group_of_four {
    () => {
        r"
        ldm r1!, {{r2-r5}}
        .rept 4
        EIGHT
        .endr"
    };
}

/// One row of signed bytes in groups of 64 at four positions.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn bytes_by_four(run: &Run) {
    four_positions!(unpack: unpack_bytes!(), group: group_of_four!(), load_scale: "ldrb")
}

/// One row of unsigned bytes below 64 in groups of 32 at four positions.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn unpacked_by_four(run: &Run) {
    four_positions!(unpack: unpack_bytes!(), group: corrected_group_of_four!(), load_scale: "ldrsb")
}

/// One row of nibbles in groups of 32 at four positions.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn nibbles_by_four(run: &Run) {
    four_positions!(
        unpack: r"
            ldr r9, [r0], #4
            mov r10, #0x000F000F
            and r6, r10, r9
            and r7, r10, r9, lsr #8
            and r8, r10, r9, lsr #4
            and r9, r10, r9, lsr #12",
        group: corrected_group_of_four!(),
        load_scale: "ldrsb"
    )
}

/// A loop over one row at two positions, as `four_positions`: r2 and r3 are the group's sums, r4 and r5 are free.
macro_rules! two_positions {
    (unpack: $unpack:expr, group: $group:expr, load_scale: $load_scale:literal, mask: $mask:literal) => {
        naked_asm!(
            any_cortex_m!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r3-r9}}",
            "push {{r3-r9}}",
            "ldm sp, {{r0-r2, r6-r7}}",
            "1:",
            "mov r3, #0x80000000",
            "push {{r2-r3, r6-r7}}",
            $mask,
            ".macro DOT sum, multiply",
            "ldm r1!, {{r10-r12, lr}}",
            r".ifc \multiply, smuad",
            r"smuad \sum, r6, r10",
            ".else",
            r"smlad \sum, r6, r10, \sum",
            ".endif",
            r"smlad \sum, r7, r11, \sum",
            r"smlad \sum, r8, r12, \sum",
            r"smlad \sum, r9, lr, \sum",
            ".endm",
            ".macro UNPACK",
            $unpack,
            ".endm",
            ".macro EIGHT",
            "UNPACK",
            "DOT r2, smlad",
            "DOT r3, smlad",
            ".endm",
            "2:",
            $group,
            "ldrd r6, r7, [sp, #8]",
            "adds r6, #1",
            "push {{r2-r3, r6-r7}}",
            "bne 2b",
            ".purgem DOT",
            ".purgem UNPACK",
            ".purgem EIGHT",
            "movs r0, #0",
            "movs r1, #0",
            "movs r4, #0",
            "movs r5, #0",
            "pop {{r2-r3, r6-r7}}",
            "3:",
            concat!($load_scale, " r6, [r7, r6]"),
            "smlal r0, r1, r2, r6",
            "smlal r4, r5, r3, r6",
            "pop {{r2-r3, r6-r7}}",
            "cmp r3, #0x80000000",
            "bne 3b",
            "ldrd r2, r3, [sp, #20]",
            "stm r2!, {{r0-r1, r4-r5}}",
            "ldm sp, {{r0-r1, r4, r6-r7}}",
            "add r0, r4",
            "add r7, r4",
            "subs r3, #1",
            "str r0, [sp]",
            "str r7, [sp, #16]",
            "strd r2, r3, [sp, #20]",
            "bne 1b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// A group of 64 columns.
macro_rules! group_of_two {
    () => {
        r"
        UNPACK
        DOT r2, smuad
        DOT r3, smuad
        .rept 7
        EIGHT
        .endr"
    };
}

/// A group of 32 columns under one correction a position.
macro_rules! corrected_group_of_two {
    () => {
        r"
        ldm r1!, {{r2-r3}}
        .rept 4
        EIGHT
        .endr"
    };
}

/// One row of signed bytes in groups of 64 at two positions.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn bytes_by_two(run: &Run) {
    two_positions!(unpack: unpack_bytes!(), group: group_of_two!(), load_scale: "ldrb", mask: "")
}

/// One row of unsigned bytes below 64 in groups of 32 at two positions.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn unpacked_by_two(run: &Run) {
    two_positions!(unpack: unpack_bytes!(), group: corrected_group_of_two!(), load_scale: "ldrsb", mask: "")
}

/// One row of nibbles in groups of 32 at two positions.
///
/// # Safety
/// See [`Loop`].
#[unsafe(naked)]
pub unsafe extern "C" fn nibbles_by_two(run: &Run) {
    two_positions!(
        unpack: r"
            ldr r9, [r0], #4
            and r6, r4, r9
            and r7, r4, r9, lsr #8
            and r8, r4, r9, lsr #4
            and r9, r4, r9, lsr #12",
        group: corrected_group_of_two!(),
        load_scale: "ldrsb",
        mask: "mov r4, #0x000F000F"
    )
}
