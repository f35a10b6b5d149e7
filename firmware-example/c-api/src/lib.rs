//! Emberlm for programs in C.
//!
//! `include/emberlm.h` is made of what is public here. Everything lives in memory that the caller owns: a session and all
//! that it works with is put into one block, whose size [`emberlm_session_bytes`] tells. Each pointer is checked for being
//! null and for its alignment, each length against what is needed, and each handle for having been opened; that memory is
//! there, as long as said and nobody else's meanwhile, is the caller's word.
//!
//! No call unwinds into C: the library is built with `panic = "abort"`, and on microcontrollers a program that is linked
//! with it contains no way to panic.
#![no_std]

mod api;

use core::cfg_select;

pub use api::*;

cfg_select! {
    all(target_arch = "arm", feature = "cortex-m-mve") => {
        pub(crate) use emberlm_core::CortexMMve as Kernel;
    }
    all(target_arch = "arm", feature = "cortex-m-dsp") => {
        pub(crate) use emberlm_core::CortexMDsp as Kernel;
    }
    _ => {
        pub(crate) use emberlm_core::Scalar as Kernel;
    }
}

#[cfg(feature = "no-panic")]
unsafe extern "C" {
    fn emberlm_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    #[cfg(feature = "no-panic")]
    // SAFETY: nothing that links can get here.
    unsafe {
        emberlm_can_panic()
    }
    #[cfg(not(feature = "no-panic"))]
    loop {
        core::hint::spin_loop();
    }
}
