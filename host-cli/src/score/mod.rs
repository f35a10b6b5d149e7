//! Losses: of a blob in canonical arithmetic, of a checkpoint's float reference, and of the two side by side.
//!
//! A [`Task`] is the rows to score and how they are cut ([`Windowing`]); each of its windows is a [`Job`]. [`evaluate`]
//! scores jobs on all threads, [`mod@crosscheck`] compares blobs with their checkpoint position by position, and
//! [`comparison`] does so for every way of storing one. Each target has its [`Place`]; what targets come to by place is in
//! [`positions`], how their divergences lie in [`distribution`], and which weights these come from in [`mod@stages`]. A
//! [`Shard`] of a run's windows may be scored apart; its losses are kept as [`records`], of which [`mod@merge`] takes the
//! run's one sum.

mod bos;
pub mod comparison;
pub mod crosscheck;
pub mod distribution;
mod error;
pub mod evaluate;
mod jobs;
pub mod merge;
mod places;
pub mod positions;
pub mod records;
mod shard;
pub mod stages;
mod task;
mod windowing;

pub use bos::Bos;
pub use error::{EvaluateError, NoLoss};
pub use jobs::Job;
pub use places::Place;
pub use shard::Shard;
pub use task::Task;
pub use windowing::Windowing;
