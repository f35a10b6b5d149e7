//! What is reported, as data: of a loss ([`LossReport`]), of a blob ([`contents`]) and of a
//! [`checkpoint`](mod@checkpoint), and tables of anything ([`table`]).

pub mod architecture;
pub mod checkpoint;
pub mod contents;
mod fault;
mod loss;
pub mod table;
mod text;

pub use fault::Fault;
pub use loss::{Canonical, LossReport, finite, nothing_to_score};
pub use text::Report;
