//! What is reported, as data: of a loss ([`LossReport`], and with what it is of [`Evaluation`]), of a blob ([`contents`]), of a
//! [`checkpoint`](mod@checkpoint), and of one and its blobs from all sides ([`study`]). Tables of anything ([`table`]), numbers as
//! people read them ([`figures`]), and pages ([`html`]).

pub mod architecture;
pub mod checkpoint;
pub mod contents;
mod evaluation;
mod fault;
pub mod figures;
pub mod html;
mod loss;
mod speed;
pub mod spelling;
pub mod study;
pub mod surprise;
pub mod table;
mod text;

pub use evaluation::{Evaluation, PartReport, TextLoss};
pub use fault::Fault;
pub use loss::{Canonical, LossReport, finite, nothing_to_score};
pub use speed::{Rate, SpeedReport};
pub use text::Report;
