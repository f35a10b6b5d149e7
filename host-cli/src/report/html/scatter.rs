//! Bits a weight against divergence: the chart that `report` and `compare` share.

use maud::{Markup, html};

use super::axis::Axis;
use super::charts::series;
use super::plot::{Plot, pixels};
use super::words::{Words, short};
use crate::report::figures::figure;

/// A way of storing a model, and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it is called.
    pub name: String,
    /// Stored bits a weight.
    pub bits_per_weight: f64,
    /// Mean divergence in nats.
    pub kl_mean: Option<f64>,
}

/// Half the height of a line of text, and about the width of a character.
const HALF_LINE: f64 = 8.0;
const CHARACTER: f64 = 7.0;

/// A label that is further above or below its dot has a line to it.
const AWAY: f64 = 16.0;

/// A rectangle: left, top, right, bottom.
type Box4 = [f64; 4];

/// The chart, and below it what has no place in it.
pub fn scatter(points: &[Point]) -> Markup {
    let plot = Plot {
        x: Axis::linear("bits a weight", points.iter().map(|point| point.bits_per_weight)),
        y: Axis::log("mean divergence, nats", points.iter().filter_map(|point| point.kl_mean)),
        label: "Bits a weight against mean divergence; the table has the numbers",
    };
    let at = |point: &Point| plot.point(point.bits_per_weight, point.kl_mean?);
    let dots: Vec<(usize, &Point, (f64, f64))> =
        points.iter().enumerate().filter_map(|(index, point)| Some((index, point, at(point)?))).collect();
    let mut taken: Vec<Box4> = dots.iter().map(|&(.., (x, y))| [x - 5.0, y - 5.0, x + 5.0, y + 5.0]).collect();
    let labels: Vec<Option<(f64, f64)>> =
        dots.iter().map(|(_, point, dot)| place(&short(&point.name), *dot, &mut taken)).collect();
    let marks = html! {
        @for ((index, point, (x, y)), label) in dots.iter().zip(labels) {
            circle.fill.(series(index + 1)) cx=(pixels(*x)) cy=(pixels(*y)) r="5" {
                title {
                    (Words(&point.name)) ": " (figure(point.bits_per_weight)) " bits a weight, " (figure(point.kl_mean)) " nats"
                }
            }
            @if let Some((start, middle)) = label {
                @if (middle - y).abs() > AWAY {
                    line.grid x1=(pixels(*x)) y1=(pixels(*y)) x2=(pixels(start - 2.0)) y2=(pixels(middle)) {}
                }
                text x=(pixels(start)) y=(pixels(middle + 4.5)) { (short(&point.name)) }
            }
        }
    };
    let missing: Vec<&Point> = points.iter().filter(|point| at(point).is_none()).collect();
    html! {
        figure {
            (plot.draw(&marks))
            @if !missing.is_empty() {
                figcaption {
                    "Not drawn, since a divergence of 0 or none has no place on a scale of powers of 10: "
                    @for (index, point) in missing.iter().enumerate() {
                        @if index > 0 { ", " }
                        (Words(&point.name)) " (" (figure(point.kl_mean)) ")"
                    }
                    "."
                }
            }
        }
    }
}

/// Where the label of a dot begins: beside it, above or below, wherever nothing is yet; nowhere where there is no room.
fn place(label: &str, (x, y): (f64, f64), taken: &mut Vec<Box4>) -> Option<(f64, f64)> {
    let (width, (left, right)) = (CHARACTER * label.chars().count() as f64, Plot::SIDES);
    let middle = (x - width / 2.0).clamp(left, (right - width).max(left));
    let beside = [(x + 9.0, y), (x - 9.0 - width, y), (middle, y - 15.0), (middle, y + 15.0)];
    let away = [30.0, -30.0, 50.0, -50.0, 70.0, -70.0].map(|rows| (x + 22.0, y + rows));
    let starts = beside.into_iter().chain(away);
    let box_of = |(x, y): (f64, f64)| [x, y - HALF_LINE, x + width, y + HALF_LINE];
    let is_free = |&start: &(f64, f64)| {
        let [x0, y0, x1, y1] = box_of(start);
        let is_inside = x0 >= left && x1 <= right && y0 >= Plot::CEILING - 8.0 && y1 <= Plot::FLOOR + 4.0;
        is_inside && taken.iter().all(|&[l, t, r, b]| x1 < l || r < x0 || y1 < t || b < y0)
    };
    let start = starts.into_iter().find(is_free)?;
    taken.push(box_of(start));
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_named_and_not_drawn() {
        let point = |name: &str, kl_mean| Point { name: name.into(), bits_per_weight: 4.0, kl_mean };
        let html = scatter(&[
            point("a", Some(1e-3)),
            point("zero", Some(0.0)),
            point("no number", None),
            point("infinite", Some(f64::INFINITY)),
        ]);
        let html = html.into_string();
        assert_eq!(html.matches("<circle").count(), 1);
        assert!(html.contains("zero (0.000000), no number (unknown), infinite (unknown)."), "{html}");
        assert!(!html.contains("NaN") && !html.contains("inf\""));
    }

    #[test]
    fn labels_lie_on_nothing() {
        let mut taken = vec![[95.0, 95.0, 105.0, 105.0], [120.0, 95.0, 130.0, 105.0]];
        let first = place("q4+head", (100.0, 100.0), &mut taken).unwrap();
        assert!(first.1 != 100.0, "another dot is beside it");
        let second = place("q4+head", (100.0, 100.0), &mut taken).unwrap();
        assert_ne!(first, second);
        assert_eq!(place(&"x".repeat(200), (100.0, 100.0), &mut taken), None);
    }
}
