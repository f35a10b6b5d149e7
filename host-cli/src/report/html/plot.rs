//! The frame of a chart: axes, grid, and where values lie in it.

use maud::{Markup, html};

use super::axis::Axis;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 46.0;

/// A chart without its marks.
#[derive(Clone, Debug)]
pub struct Plot<'l> {
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What it shows, for those who do not see it.
    pub label: &'l str,
}

impl Plot<'_> {
    /// The bottom of the frame.
    pub const FLOOR: f64 = HEIGHT - BOTTOM;
    /// Its left and right ends.
    pub const SIDES: (f64, f64) = (LEFT, WIDTH - RIGHT);
    /// Its top.
    pub const CEILING: f64 = TOP;

    /// Where a value of x lies.
    pub fn across(&self, value: f64) -> Option<f64> {
        self.x.place(value).map(|place| LEFT + place * (WIDTH - RIGHT - LEFT))
    }

    /// Where a value of y lies.
    pub fn up(&self, value: f64) -> Option<f64> {
        self.y.place(value).map(|place| Self::FLOOR - place * (Self::FLOOR - TOP))
    }

    /// Where a point lies; `None` where it lies nowhere.
    pub fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.across(x).zip(self.up(y))
    }

    /// The chart with `marks` in it.
    pub fn draw(&self, marks: &Markup) -> Markup {
        let (left, right) = Self::SIDES;
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.label) {
                text.soft x="0" y="14" { (self.y.title) }
                @for (value, word) in self.y.ticks() {
                    @if let Some(y) = self.up(value) {
                        line.grid x1=(left) x2=(right) y1=(pixels(y)) y2=(pixels(y)) {}
                        text.soft x=(left - 7.0) y=(pixels(y + 4.5)) text-anchor="end" { (word) }
                    }
                }
                @for (value, word) in self.x.ticks() {
                    @if let Some(x) = self.across(value) {
                        line.grid x1=(pixels(x)) x2=(pixels(x)) y1=(Self::FLOOR) y2=(Self::FLOOR + 5.0) {}
                        text.soft x=(pixels(x)) y=(Self::FLOOR + 20.0) text-anchor="middle" { (word) }
                    }
                }
                text.soft x=(right) y=(HEIGHT - 6.0) text-anchor="end" { (self.x.title) }
                (marks)
            }
        }
    }
}

/// A place, to a tenth of a pixel.
pub fn pixels(at: f64) -> String {
    format!("{at:.1}")
}
