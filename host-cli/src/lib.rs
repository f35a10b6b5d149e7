//! The host side of Emberlm.

pub mod device;
