//! Small synthetic checkpoints: read in every layout, and refused one by one.

mod build;
mod layouts;
mod refusals;
