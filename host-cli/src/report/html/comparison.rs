//! The page of a comparison of formats.

use maud::html;

use super::page::{Section, facts, page, scrolling};
use super::scatter::{Point, scatter};
use super::words::Words;

/// A comparison, one file of HTML: what it is about, the chart, and the table, whose first `words` columns are words.
pub fn comparison(
    title: &str,
    about: &[(&str, String)],
    points: &[Point],
    (headings, words): (&[&str], usize),
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let table = html! {
        table {
            thead {
                tr {
                    @for (column, heading) in headings.iter().enumerate() {
                        th scope="col" .word[column < words] { (heading) }
                    }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        @for (column, cell) in row.iter().enumerate() {
                            @if column == 0 {
                                th scope="row" { (Words(cell)) }
                            } @else {
                                td .word[column < words] { (Words(cell)) }
                            }
                        }
                    }
                }
            }
        }
    };
    let chart = html! {
        p { "Fewer bits a weight cost divergence; lower and further left is better." }
        (scatter(points))
    };
    let numbers = html! {
        p { "Differences of the loss and divergences in nats a token." }
        (scrolling("What each choice costs", &table))
    };
    let sections = [
        Section { id: "formats", heading: "Bits a weight and divergence", body: chart },
        Section { id: "numbers", heading: "Numbers", body: numbers },
    ];
    let about: Vec<_> = about.iter().map(|(name, value)| (*name, html! { (Words(value)) })).collect();
    page(title, &facts(&about), &sections)
}
