//! The checker itself, on made-up sources.

use super::order::{Floors, complaints, faults};
use super::tree::Crate;

const FLOORS: &Floors = &[&["low", "lawn"], &["middle"], &["high"]];

const ROOT: &str = "pub mod high; pub mod lawn; pub mod low; pub mod middle; pub use high::Roof;";

/// What is said of a crate of these files besides small ones that import nothing.
fn said_of(files: &[(&str, &str)], exceptions: &[(&str, &str)]) -> Vec<String> {
    let usual = [
        ("lib.rs", ROOT),
        ("high.rs", "pub struct Roof; pub fn raise() {} pub mod inner { pub const TOP: u8 = 1; }"),
        ("lawn.rs", "pub struct Grass;"),
        ("low.rs", "pub struct Stone; pub fn lay() {}"),
        ("middle.rs", ""),
    ];
    let files = Crate::read(|name| {
        let all = files.iter().chain(&usual);
        all.filter(|(file, _)| *file == name).map(|(_, source)| (*source).to_owned()).next()
    });
    complaints(&faults(&files, FLOORS), exceptions)
}

/// What is said of `low.rs` with this source.
fn said_of_low(source: &str) -> Vec<String> {
    said_of(&[("low.rs", source)], &[])
}

#[test]
fn an_upward_import_is_seen_however_it_is_written() {
    for (source, path) in [
        ("use crate::high::Roof;", "crate::high::Roof"),
        ("use {std::fmt, crate::{high::{self, Roof as Top}}};", "crate::high"),
        ("use super::{high as above};", "super::high"),
        ("pub use crate::high::Roof;", "crate::high::Roof"),
        ("use crate::high::*;", "crate::high"),
        ("fn f() { use crate::high::raise; raise() }", "crate::high::raise"),
        ("fn f() { crate::high::raise() }", "crate::high::raise"),
        ("fn f(_: &super::high::Roof) {}", "super::high::Roof"),
        ("struct A<T: Into<crate::high::Roof>>(Vec<Option<T>>);", "crate::high::Roof"),
        ("fn f(x: u8) -> bool { matches!(x, 0..=crate::high::inner::TOP) }", "crate::high::inner::TOP"),
        ("fn f() { println!(\"{:?}\", [(1, crate::high::raise())]) }", "crate::high::raise"),
        ("macro_rules! m { ($x:expr) => { $crate::high::raise($x) }; }", "crate::high::raise"),
        ("#[error(\"{}\", crate::high::raise())] struct A;", "crate::high::raise"),
        ("mod inner { fn f() { super::super::high::raise() } }", "super::super::high::raise"),
        ("mod inner { use self::deep::f; mod deep { pub use crate::high::raise as f; } }", "self::deep::f"),
        ("impl A { fn f(&self) { let _ = crate::high::Roof; } } struct A;", "crate::high::Roof"),
        ("#[cfg(any(test, unix))] use crate::high::Roof;", "crate::high::Roof"),
        ("#[cfg(not(test))] fn f() { crate::high::raise() }", "crate::high::raise"),
    ] {
        let expected = format!("low.rs imports {path} of high.rs, which is on no floor below its own");
        assert_eq!(said_of_low(source), [expected], "{source}");
    }
}

#[test]
fn what_is_no_import_is_left_alone() {
    for source in [
        "#[cfg(test)] mod tests { use crate::high::Roof; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(all(test, unix))] mod tests { use super::super::high::raise; }",
        "#[cfg(test)] use crate::high::Roof;",
        "struct A; impl A { #[cfg(test)] fn f() { crate::high::raise() } }",
        "fn f() { #[cfg(test)] let x = crate::high::raise(); }",
        "/// [`Roof`](crate::high::Roof)\nfn f() {} // crate::high::raise()",
        "const TEXT: &str = \"crate::high::raise\";",
        "fn f(high: u8) -> u8 { high }",
        "fn f(x: u8) { assert!(x.high() > x.crate_high); }",
        "use high::Roof; fn f() { serde::high::raise() }",
        "use self::inner::Door; mod inner { pub struct Door; pub(in crate::low) fn f(_: super::Door) {} }",
    ] {
        assert_eq!(said_of_low(source), [""; 0], "{source}");
    }
    let downward = "use crate::{low::{Stone, lay}, lawn::Grass}; fn f() { lay() }";
    assert_eq!(said_of(&[("middle.rs", downward)], &[]), [""; 0]);
}

#[test]
fn floors_side_by_side_do_not_know_each_other() {
    let said = said_of_low("use crate::lawn::Grass;");
    assert_eq!(said, ["low.rs imports crate::lawn::Grass of lawn.rs, which is on no floor below its own"]);
}

#[test]
fn what_a_folder_hands_on_is_its_owners() {
    let files = [
        ("middle.rs", "pub mod parts; pub use parts::Door; pub use self::parts::*;"),
        ("middle/parts.rs", "pub struct Door; pub struct Window; use super::Door as Way;"),
        ("low.rs", "use crate::middle::{Door, Window};"),
    ];
    let said = said_of(&files, &[]);
    assert_eq!(said, ["low.rs imports crate::middle::Door of middle/parts.rs, which is on no floor below its own"]);
}

#[test]
fn the_root_is_for_users() {
    for (source, path) in [
        ("use crate::Roof;", "crate::Roof"),
        ("use super::{low::lay, Roof};", "super::Roof"),
        ("fn f() -> crate::Roof { lay() }", "crate::Roof"),
    ] {
        let said = said_of(&[("middle.rs", source)], &[]);
        let expected =
            format!("middle.rs imports {path} through the crate's root, which is for users: name it in high.rs");
        assert_eq!(said, [expected], "{source}");
    }
    let root = [ROOT, "pub const ALL: u8 = 0;"].concat();
    let said = said_of(&[("lib.rs", &root), ("middle.rs", "use crate::ALL;")], &[]);
    assert_eq!(said, ["middle.rs imports crate::ALL through the crate's root, which is for users: name it in lib.rs"]);
}

#[test]
fn files_that_import_each_other_are_named() {
    let two = [
        ("middle.rs", "mod left; mod right;"),
        ("middle/left.rs", "use super::right::B; pub struct A;"),
        ("middle/right.rs", "pub struct B(super::left::A);"),
    ];
    let said = "files import each other: middle/left.rs imports super::right::B of middle/right.rs, middle/right.rs \
                imports super::left::A of middle/left.rs";
    assert_eq!(said_of(&two, &[]), [said]);
    let three = [
        ("middle.rs", "mod left; mod right; pub struct C; pub use left::A; fn f(_: A) {}"),
        ("middle/left.rs", "use super::right::B; pub struct A;"),
        ("middle/right.rs", "pub struct B(super::C);"),
    ];
    let said = said_of(&three, &[]);
    assert!(said.len() == 1 && three.iter().all(|(file, _)| said[0].contains(file)), "{said:?}");
    let handed_on =
        [("middle.rs", "mod left; pub struct C; pub use left::A;"), ("middle/left.rs", "pub struct A(super::C);")];
    assert_eq!(said_of(&handed_on, &[]), [""; 0]);
}

#[test]
fn an_exception_excuses_one_import_and_has_to_be_there() {
    let upward = [("low.rs", "use crate::high::Roof;")];
    assert_eq!(said_of(&upward, &[("low.rs", "high.rs")]), [""; 0]);
    let said = said_of(&upward, &[("low.rs", "high.rs"), ("lawn.rs", "high.rs")]);
    assert_eq!(said, ["lawn.rs no longer imports high.rs against the order: strike it from the exceptions"]);
    let circle = [("middle.rs", "mod left; pub struct C; use left::A;"), ("middle/left.rs", "pub struct A(super::C);")];
    assert_eq!(said_of(&circle, &[("middle/left.rs", "middle.rs")]), [""; 0]);
}

#[test]
fn every_folder_has_a_floor() {
    let root = [ROOT, "mod attic;"].concat();
    let said = said_of(&[("lib.rs", &root), ("attic.rs", "")], &[]);
    assert_eq!(said, ["attic.rs is on no floor: give its folder one"]);
}
