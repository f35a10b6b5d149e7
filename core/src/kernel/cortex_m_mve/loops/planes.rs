//! Walks through weights of two planes, a group of 32 at a time, unpacked to q0 and q2.
//!
//! The high plane's bytes lie in every lane that has a bit of them; shifts that
//! differ from lane to lane bring a lane's bits to its top.

/// What brings a lane's 2 bits to its top: 6 for lanes 0 to 7, 4 for the others; in q5.
macro_rules! shifts_of_two {
    () => {
        "vmov.i8 q5, #6\n mov r4, #0x04040404\n vmov s22, s23, r4, r4\n"
    };
}

/// What brings a lane's bit to its top: 7 for lanes 0 to 3, 6, 5, 4; in q4.
macro_rules! shifts_of_one {
    () => {
        concat!(
            "mov r4, #0x07070707\n mov r6, #0x06060606\n vmov s16, s17, r4, r6\n",
            "mov r4, #0x05050505\n mov r6, #0x04040404\n vmov s18, s19, r4, r6\n"
        )
    };
}

macro_rules! six_bits {
    (begin) => {
        concat!(shifts_of_two!(), "vmov.i8 q4, #2\n mov r4, #0\n vmov s18, s19, r4, r4\n")
    };
    ($w:literal) => {
        concat!(
            "vldrw.u32 q0, [",
            $w,
            "], #16\n ldrd r5, r7, [",
            $w,
            "], #8\n",
            "vmov q3[2], q3[0], r5, r5\n vmov q3[3], q3[1], r7, r7\n",
            "vshr.u8 q2, q0, #4\n vshl.u8 q1, q3, q5\n vshl.u8 q3, q3, q4\n",
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
            "ldrd r5, r7, [",
            $w,
            "], #8\n vmov q2[2], q2[0], r5, r5\n vmov q2[3], q2[1], r7, r7\n",
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
