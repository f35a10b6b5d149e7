//! What differs from board to board: name and kernel.

use core::cfg_select;

cfg_select! {
    feature = "virt-rv32imc" => {
        pub const NAME: &str = "virt-rv32imc";
        pub type Kernel = emberlm_core::kernel::Scalar;
    }
    feature = "virt-rv32imac" => {
        pub const NAME: &str = "virt-rv32imac";
        pub type Kernel = emberlm_core::kernel::Scalar;
    }
    feature = "virt-rv32imafc" => {
        pub const NAME: &str = "virt-rv32imafc";
        pub type Kernel = emberlm_core::kernel::Scalar;
    }
}
