//! What is drawn in frames: lines, points, bars.

use maud::{Markup, html};

use super::axis::Axis;
use super::plot::{Plot, pixels};
use super::words::short;
use crate::report::figures::{count, figure};
use crate::report::study::{DivergenceBin, PositionSpan, StagesReport};

/// The class of a series: 0 is the checkpoint's, from 1 the blobs'.
pub fn series(index: usize) -> String {
    format!("s{}", if index == 0 { 0 } else { (index - 1) % 5 + 1 })
}

/// The names of lines beside their colours.
pub fn key<'n>(names: impl Iterator<Item = (usize, &'n str)>) -> Markup {
    html! {
        ul.key { @for (index, name) in names { li class=(series(index)) { (short(name)) } } }
    }
}

/// A line of values over spans of positions, each with its title.
pub struct Line<'n> {
    /// Which series it is.
    pub index: usize,
    /// Its name.
    pub name: &'n str,
    /// A value a span; what is none interrupts the line.
    pub values: Vec<Option<f64>>,
}

/// Lines over positions in the context.
pub fn lines(spans: &[PositionSpan], lines: &[Line<'_>], y: Axis, label: &str) -> Markup {
    let ends = spans.first().zip(spans.last());
    let (from, to) = ends.map_or((0.0, 1.0), |(first, last)| (first.first as f64, last.last as f64));
    let plot = Plot { x: Axis::between("tokens that a target is predicted from", from, to), y, label };
    let middle = |span: &PositionSpan| (span.first + span.last) as f64 / 2.0;
    let place = |(span, value): (&PositionSpan, &Option<f64>)| plot.point(middle(span), (*value)?);
    // The checkpoint's line is wide and pale, so that others on it are seen.
    let radius = |line: &Line<'_>| if line.index == 0 { 2 } else { 3 };
    let marks = html! {
        @for line in lines {
            @let points: Vec<Option<(f64, f64)>> = spans.iter().zip(&line.values).map(place).collect();
            @for run in points.split(Option::is_none).filter(|run| run.len() > 1) {
                @let path = run.iter().flatten().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
                polyline.line.(series(line.index)) points=(path) {}
            }
            @for ((span, value), point) in spans.iter().zip(&line.values).zip(&points) {
                @if let Some((x, y)) = point {
                    circle.fill.(series(line.index)) cx=(pixels(*x)) cy=(pixels(*y)) r=(radius(line)) {
                        title {
                            (short(line.name)) ", " (span.first) " to " (span.last) ": " (figure(*value)) ", "
                            (count(span.tokens)) " targets"
                        }
                    }
                }
            }
        }
    };
    plot.draw(&marks)
}

/// How many divergences of one blob's are of which size.
pub fn histogram(bins: &[DivergenceBin], blob: usize, label: &str) -> Markup {
    let least = bins.iter().map(|bin| bin.from).find(|&from| from > 0.0).or(bins.first().map(|bin| bin.to));
    // What is too small for a bin of its own is drawn as wide as the others.
    let from_of = |bin: &DivergenceBin| if bin.from > 0.0 { bin.from } else { bin.to / 10f64.sqrt() };
    let edges = bins.iter().flat_map(|bin| [from_of(bin), bin.to]).chain(least);
    let counts = bins.iter().map(|bin| bin.counts[blob] as f64);
    let plot = Plot {
        x: Axis::log("divergence of a target, nats", edges),
        y: Axis::linear("targets", counts.chain([0.0])),
        label,
    };
    let marks = html! {
        @for bin in bins {
            @let sides = plot.across(from_of(bin)).zip(plot.across(bin.to));
            @if let Some(((left, right), top)) = sides.zip(plot.up(bin.counts[blob] as f64)) {
                @let (width, height) = ((right - left - 1.0).max(1.0), Plot::FLOOR - top);
                @let (x, width, height) = (pixels(left + 0.5), pixels(width), pixels(height));
                rect.fill.(series(blob + 1)) x=(x) y=(pixels(top)) width=(width) height=(height) {
                    title { (figure(bin.from)) " to " (figure(bin.to)) " nats: " (count(bin.counts[blob])) " targets" }
                }
            }
        }
    };
    plot.draw(&marks)
}

/// What the weights of each part cost alone.
pub fn stages(report: &StagesReport, blob: usize, label: &str) -> Markup {
    const ROW: usize = 24;
    const START: f64 = 92.0;
    const LONGEST: f64 = 250.0;
    let rows: Vec<(&str, Option<f64>)> =
        report.stages.iter().map(|part| (part.stage.as_str(), part.kl_alone)).collect();
    let most = rows.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max);
    html! {
        svg viewBox={ "0 0 440 " (ROW * rows.len()) } role="img" aria-label=(label) {
            @for (index, (name, value)) in rows.iter().enumerate() {
                @let y = (ROW * index) as f64;
                @let length = value.filter(|_| most > 0.0).map_or(0.0, |value| LONGEST * value / most);
                text x=(START - 8.0) y=(y + 16.0) text-anchor="end" { (name) }
                rect.fill.(series(blob + 1)) x=(START) y=(y + 4.0) width=(pixels(length)) height=(ROW - 8) {
                    title { (name) ": " (figure(*value)) " nats" }
                }
                text.soft x=(pixels(START + length + 6.0)) y=(y + 16.0) { (figure(*value)) }
            }
        }
    }
}
