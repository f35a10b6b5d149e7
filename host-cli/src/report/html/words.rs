//! Words and numbers as pages have them.

use maud::{Markup, Render, html};

use crate::ground::shown;
use crate::report::figures;

/// Text from outside: what acts or hides is shown escaped, and what means something in HTML is text.
#[derive(Clone, Copy, Debug)]
pub struct Words<'t>(pub &'t str);

impl Render for Words<'_> {
    fn render(&self) -> Markup {
        shown::whole(self.0).to_string().render()
    }
}

/// The words of a text that may be long, for a chart: the first of them.
pub fn short(text: &str) -> String {
    const MOST: usize = 22;
    let text = shown::whole(text).to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 1).chain(['…']).collect() }
}

/// A number, with all of its digits for programs.
pub fn figure(value: impl Into<Option<f64>>) -> Markup {
    let value = value.into().filter(|value| value.is_finite());
    let text = figures::figure(value);
    html! {
        @match value {
            Some(value) => data value=(value) { (text) },
            None => span.unknown { (text) },
        }
    }
}

/// A count.
pub fn count(value: u64) -> Markup {
    html! { data value=(value) { (figures::count(value)) } }
}
