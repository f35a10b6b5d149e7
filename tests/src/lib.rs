//! The oracle and the fixtures that the cross-crate tests share.
