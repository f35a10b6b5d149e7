//! The host side of Emberlm: checkpoints in, blobs out, and losses from either.
//!
//! # Floors
//!
//! Each folder is a floor, and nothing imports from a floor above its own; two that stand side by side do not know each
//! other. No two files import each other.
//!
//! | floor | what it does |
//! |---|---|
//! | [`ground`] | the user's [files](ground::files), memory, signals, and words from outside as they may be [shown](ground::shown) |
//! | [`text`], [`checkpoint`] | texts to rows of token ids and back; checkpoints of any known layout as an [architecture](checkpoint::architecture) and its tensors, and [initialised](checkpoint::init) ones |
//! | [`reference`](mod@reference), [`engine`] | a checkpoint in floats; core on a blob, with this processor's [kernel](engine::kernel) |
//! | [`convert`](mod@convert) | a checkpoint's matrices rounded and written to a blob |
//! | [`score`] | the losses of windows, by either or side by side |
//! | [`report`] | what is reported of losses and blobs, as data and as [pages](report::html) |
//! | [`plan`], [`device`] | what a model takes of a board; a board that scores |
//! | [`page`](mod@page) | a page for browsers, with a model inside |
//! | [`pack`] | a blob or a program as a file that a board's own boot loader takes |
//! | [`verbs`] | the command: its words, reports, progress bars and exit codes, and the one error that sums up all others |
//!
//! Below [`verbs`] nothing knows of command lines or terminals: errors are the floor's own, progress is a callback.
//!
//! # The way of the data
//!
//! * To a blob: [`Checkpoint::open`](checkpoint::Checkpoint::open) binds a checkpoint's tensors to their slots;
//!   [`Windows`](convert::calibrate::Windows) of text pass through it; [`quantize`](mod@convert::quantize) rounds its
//!   matrices by them; [`write`](convert::write) lays the blob out and scores its self-test.
//! * To a loss: a [`Source`](text::input::Source) becomes rows of ids through a [`Tokenizer`](text::tokenizer::Tokenizer);
//!   a [`Windowing`](score::Windowing) makes [`Job`](score::Job)s of them; [`evaluate`](score::evaluate) scores these on all
//!   threads, a blob by core in the [`Memory`](engine::Memory) of a session, a checkpoint by its
//!   [`Reference`](reference::Reference); a [`LossReport`](report::LossReport) says what that came to.
//! * To a loss from several machines: each scores a [`Shard`](score::Shard) of the jobs and keeps their losses as
//!   [`records`](score::records); [`merge`](fn@score::merge::merge) takes the one sum of all.
//! * To a page: [`score_beside`](score::crosscheck::score_beside) scores each target by a checkpoint's reference and its blobs;
//!   a [`Study`](report::study::Study) puts together what follows, of which JSON and [`html`](report::html) are made.
//! * To a board: [`device::score`] hands blob and ids to firmware and reads its report back as the same `LossReport`.
//! * To a text: a [`Writer`](engine::generation::Writer) has core go on with a prompt.
#![deny(unsafe_code)]

pub mod checkpoint;
pub mod convert;
pub mod device;
pub mod engine;
pub mod ground;
pub mod pack;
pub mod page;
pub mod plan;
pub mod reference;
pub mod report;
pub mod score;
pub mod text;
pub mod verbs;
