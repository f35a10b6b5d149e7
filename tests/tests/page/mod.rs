//! A page as browsers parse it, by the rules of HTML and with all that they only forgive.

use std::collections::HashSet;

use html5ever::tendril::TendrilSink;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// An element: its name, its attributes, and all text in it.
#[derive(Clone, Debug)]
pub struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    pub text: String,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A page: every element, in the order in which they begin.
#[derive(Clone, Debug)]
pub struct Page {
    pub elements: Vec<Element>,
}

impl Page {
    /// Parses `html`, which breaks no rule and needs nothing from elsewhere.
    pub fn parse(html: &str) -> Self {
        let tokenizer = TokenizerOpts { exact_errors: true, ..TokenizerOpts::default() };
        let dom = parse_document(RcDom::default(), ParseOpts { tokenizer, ..ParseOpts::default() }).one(html);
        let errors = dom.errors.borrow();
        assert!(errors.is_empty(), "{errors:?}");
        let mut page = Self { elements: Vec::new() };
        page.add(&dom.document);
        page.check(html);
        page
    }

    /// Adds what is in a node, and returns its text.
    fn add(&mut self, node: &Handle) -> String {
        let index = self.elements.len();
        if let NodeData::Element { name, attrs, .. } = &node.data {
            let pair =
                |attribute: &html5ever::Attribute| (attribute.name.local.to_string(), attribute.value.to_string());
            let attributes = attrs.borrow().iter().map(pair).collect();
            self.elements.push(Element { name: name.local.to_string(), attributes, text: String::new() });
        }
        let mut text = match &node.data {
            NodeData::Text { contents } => contents.borrow().to_string(),
            _ => String::new(),
        };
        text += &node.children.borrow().iter().map(|child| self.add(child)).collect::<String>();
        if let (NodeData::Element { .. }, Some(element)) = (&node.data, self.elements.get_mut(index)) {
            element.text.clone_from(&text);
        }
        text
    }

    /// Nothing is loaded or run, nothing acts on who looks at the source, and what cannot be seen has words.
    fn check(&self, html: &str) {
        for word in ["http:", "https:", "url(", "@import", "javascript:", "NaN", "Infinity"] {
            assert!(!html.contains(word), "{word}");
        }
        let is_raw = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert_eq!(html.find(is_raw), None);
        for element in &self.elements {
            assert!(
                !["script", "iframe", "object", "embed", "img", "form", "base"].contains(&&*element.name),
                "{element:?}"
            );
            for (name, value) in &element.attributes {
                assert!(!name.starts_with("on") && !["src", "srcset", "action", "style"].contains(&&**name), "{name}");
                let target =
                    value.strip_prefix('#').map(|id| self.all("section").any(|it| it.attribute("id") == Some(id)));
                assert!(name != "href" || target == Some(true) || value == "data:,", "{value}");
            }
            let is_named = element.attribute("aria-label").is_some() || element.attribute("aria-hidden").is_some();
            assert!(element.name != "svg" || is_named, "{element:?}");
            assert!(element.name != "th" || element.attribute("scope").is_some(), "{element:?}");
            // A place that is no number leaves a mark anywhere.
            let places = ["x", "y", "cx", "cy", "r", "x1", "x2", "y1", "y2", "width", "height"];
            for (name, value) in element.attributes.iter().filter(|(name, _)| places.contains(&&**name)) {
                assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{name}={value}");
            }
            let points =
                element.attribute("points").unwrap_or_default().split([' ', ',']).filter(|word| !word.is_empty());
            points.for_each(|point| assert!(point.parse::<f64>().is_ok_and(f64::is_finite), "{point}"));
        }
        assert_eq!(self.all("html").next().and_then(|html| html.attribute("lang")), Some("en"));
        assert_eq!(self.all("h1").count(), 1);
        let ids: Vec<&str> = self.elements.iter().filter_map(|element| element.attribute("id")).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
    }

    /// The elements of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    /// Every number that is marked as one, and what is written in its place.
    pub fn numbers(&self) -> impl Iterator<Item = (f64, &str)> {
        self.all("data").map(|data| (data.attribute("value").unwrap().parse().unwrap(), data.text.as_str()))
    }

    /// The text of the whole page.
    pub fn text(&self) -> &str {
        &self.all("body").next().unwrap().text
    }
}
