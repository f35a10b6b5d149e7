//! Flash and RAM of boards as bars.

use maud::{Markup, html};

use super::page::scrolling;
use super::plot::pixels;
use super::words::{Words, count};
use crate::report::study::{BoardFit, Room, Study};

/// A row a board.
pub fn boards(study: &Study) -> Markup {
    let table = html! {
        table.boards {
            thead {
                tr {
                    th.word scope="col" { "board" }
                    th.word scope="col" { "RAM" }
                    @for blob in &study.blobs { th.word scope="col" { "flash, " (Words(&blob.name)) } }
                }
            }
            tbody {
                @for board in &study.boards {
                    tr {
                        th scope="row" { (board.board) small { (board.about) ", " (board.core) } }
                        td { (room(&board.ram)) (longest(board)) }
                        @for flash in &board.flash { td { (room(flash)) } }
                    }
                }
            }
        }
    };
    scrolling("Flash and RAM of boards", &table)
}

/// What the RAM holds, all else equal.
fn longest(board: &BoardFit) -> Markup {
    html! { small { "holds a context of " (count(board.max_n_ctx as u64)) } }
}

fn room(room: &Room) -> Markup {
    const WIDTH: f64 = 200.0;
    let whole = room.need.max(room.have).max(1) as f64;
    let (need, have) = (WIDTH * room.need as f64 / whole, WIDTH * room.have as f64 / whole);
    html! {
        @if room.fits { "fits" } @else { span.bad { "does not fit" } }
        svg.bar viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true" {
            rect x="0" y="0" width="200" height="12" {}
            rect class=(if room.fits { "fill" } else { "over" }) x="0" y="0" width=(pixels(need)) height="12" {}
            @if !room.fits { line x1=(pixels(have)) x2=(pixels(have)) y1="0" y2="12" {} }
        }
        small { (count(room.need)) " of " (count(room.have)) }
    }
}
