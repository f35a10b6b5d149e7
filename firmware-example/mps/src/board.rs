//! What differs from board to board but for the memory map: name, kernel, the clock of the core and SysTick in MHz,
//! and where UART0 is.

use core::cfg_select;

cfg_select! {
    feature = "mps2-an385-m0" => {
        pub const NAME: &str = "mps2-an385-m0";
        pub type Kernel = emberlm_core::kernel::Scalar;
        pub const CLOCK_MHZ: u64 = 25;
        pub const UART0: usize = 0x4000_4000;
    }
    feature = "mps2-an385" => {
        pub const NAME: &str = "mps2-an385";
        pub type Kernel = emberlm_core::kernel::Scalar;
        pub const CLOCK_MHZ: u64 = 25;
        pub const UART0: usize = 0x4000_4000;
    }
    feature = "mps2-an386" => {
        pub const NAME: &str = "mps2-an386";
        pub type Kernel = emberlm_core::kernel::CortexMDsp;
        pub const CLOCK_MHZ: u64 = 25;
        pub const UART0: usize = 0x4000_4000;
    }
    feature = "mps2-an500" => {
        pub const NAME: &str = "mps2-an500";
        pub type Kernel = emberlm_core::kernel::CortexMDsp;
        pub const CLOCK_MHZ: u64 = 25;
        pub const UART0: usize = 0x4000_4000;
    }
    feature = "mps2-an505" => {
        pub const NAME: &str = "mps2-an505";
        pub type Kernel = emberlm_core::kernel::CortexMDsp;
        pub const CLOCK_MHZ: u64 = 20;
        pub const UART0: usize = 0x5020_0000;
    }
    feature = "mps3-an547" => {
        pub const NAME: &str = "mps3-an547";
        pub type Kernel = emberlm_core::kernel::CortexMMve;
        pub const CLOCK_MHZ: u64 = 32;
        pub const UART0: usize = 0x5930_3000;
    }
}
