//! The host side of Emberlm.
