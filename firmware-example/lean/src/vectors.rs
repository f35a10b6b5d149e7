//! The vector table's interrupts: one where the runtime wants some. No peripheral is ever told to raise any, and a table
//! for all that a core can have takes a KiB.
#![allow(unsafe_code)]

unsafe extern "C" {
    /// The runtime's, for whatever has no handler of its own.
    fn DefaultHandler();
}

#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];
