//! What all pages share: one file, nothing from elsewhere, no scripts.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::style::STYLE;
use super::words::Words;

/// What a page may load: its own style, and an icon that is none.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A part of a page.
pub struct Section {
    /// Its name in links.
    pub id: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// What is in it.
    pub body: Markup,
}

/// A page of sections, which the first lines link to.
pub fn page(title: &str, about: &Markup, sections: &[Section]) -> String {
    let markup = html! {
        (DOCTYPE)
        (PreEscaped(super::MARK))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (Words(title)) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (Words(title)) }
                    (about)
                    nav aria-label="Sections" {
                        ul { @for section in sections { li { a href={ "#" (section.id) } { (section.heading) } } } }
                    }
                }
                main {
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-heading" } {
                            h2 id={ (section.id) "-heading" } { (section.heading) }
                            (section.body)
                        }
                    }
                }
            }
        }
    };
    markup.into_string() + "\n"
}

/// What a page is about, line by line.
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl { @for (name, value) in facts { dt { (name) } dd { (value) } } }
    }
}

/// A table that may be wider than the page: it moves in its own frame, for keys too.
pub fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// What is there for those who ask.
pub fn details(summary: &str, body: &Markup) -> Markup {
    html! { details { summary { (summary) } (body) } }
}
