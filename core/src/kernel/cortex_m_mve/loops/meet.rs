//! Where pairs of sums meet their scales: q7 points to sums, r1 and r3 to the two rows' scales, the totals are r8 and r9,
//! r10 and r11.

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
