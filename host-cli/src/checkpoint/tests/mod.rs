//! Small synthetic checkpoints: read in every layout, and refused one by one.

pub(crate) mod build;
mod layouts;
mod refusals;
