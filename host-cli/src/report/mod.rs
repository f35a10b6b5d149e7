//! What is reported, as data: of a loss ([`LossReport`], and with what it is of [`Evaluation`]), of a blob ([`contents`]) and of a
//! [`checkpoint`](mod@checkpoint), and tables of anything ([`table`]).

pub mod architecture;
pub mod checkpoint;
pub mod contents;
mod evaluation;
mod fault;
mod loss;
mod speed;
pub mod table;
mod text;

pub use evaluation::{Evaluation, PartReport, TextLoss};
pub use fault::Fault;
pub use loss::{Canonical, LossReport, finite, nothing_to_score};
pub use speed::{Rate, SpeedReport};
pub use text::Report;
