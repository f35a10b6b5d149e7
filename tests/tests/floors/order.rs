//! What imports may be: downward, and never in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::tree::{Crate, Import};

/// Folders and files of a crate's root, the lowest first; those in one list stand side by side.
pub type Floors = [&'static [&'static str]];

/// What the house does not allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A file imports from a floor that is not below its own.
    Upward(Import),
    /// A file imports what the root is there to show to users.
    FromRoot(Import),
    /// Files import each other, the last one the first.
    Circle(Vec<Import>),
    /// A file stands on no floor.
    NoFloor(String),
}

impl Fault {
    /// The imports that make it, each of which would do to end it.
    fn imports(&self) -> &[Import] {
        match self {
            Self::Upward(import) | Self::FromRoot(import) => std::slice::from_ref(import),
            Self::Circle(imports) => imports,
            Self::NoFloor(_) => &[],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upward(Import { from, to, path, .. }) => {
                write!(f, "{from} imports {path} of {to}, which is on no floor below its own")
            }
            Self::FromRoot(Import { from, to, path, .. }) => {
                write!(f, "{from} imports {path} through the crate's root, which is for users: name it in {to}")
            }
            Self::Circle(imports) => {
                let links =
                    imports.iter().map(|Import { from, to, path, .. }| format!("{from} imports {path} of {to}"));
                write!(f, "files import each other: {}", links.collect::<Vec<_>>().join(", "))
            }
            Self::NoFloor(file) => write!(f, "{file} is on no floor: give its folder one"),
        }
    }
}

/// Everything in a crate that the house does not allow.
pub fn faults(of: &Crate, floors: &Floors) -> BTreeSet<Fault> {
    let mut faults = BTreeSet::new();
    let mut places = BTreeMap::new();
    for (file, path) in of.files() {
        let Some(name) = path.first() else { continue };
        match floors.iter().position(|floor| floor.contains(&name.as_str())) {
            Some(floor) => drop(places.insert(file, (floor, name))),
            None => drop(faults.insert(Fault::NoFloor(file.to_owned()))),
        }
    }
    let imports = of.imports();
    for import in &imports {
        let place = |file: &String| places.get(file.as_str());
        if import.is_of_root {
            faults.insert(Fault::FromRoot(import.clone()));
        } else if let (Some((from, own)), Some((to, other))) = (place(&import.from), place(&import.to))
            && own != other
            && to >= from
        {
            faults.insert(Fault::Upward(import.clone()));
        }
    }
    faults.extend(circles(&imports).into_iter().map(Fault::Circle));
    faults
}

/// A line for every fault without an exception, an import by its two files, and for every exception without a fault.
pub fn complaints(faults: &BTreeSet<Fault>, exceptions: &[(&str, &str)]) -> Vec<String> {
    let makes = |fault: &Fault, &(from, to): &(&str, &str)| {
        fault.imports().iter().any(|import| (import.from.as_str(), import.to.as_str()) == (from, to))
    };
    let open = faults.iter().filter(|fault| !exceptions.iter().any(|exception| makes(fault, exception)));
    let stale = exceptions.iter().filter(|exception| !faults.iter().any(|fault| makes(fault, exception)));
    let strike = |(from, to): &(&str, &str)| {
        format!("{from} no longer imports {to} against the order: strike it from the exceptions")
    };
    open.map(Fault::to_string).chain(stale.map(strike)).collect()
}

/// For every import that is part of a circle, the shortest such circle, from its first file by name on.
fn circles(imports: &[Import]) -> BTreeSet<Vec<Import>> {
    let mut of_file = BTreeMap::<&str, Vec<&Import>>::new();
    imports.iter().for_each(|import| of_file.entry(&import.from).or_default().push(import));
    let back = |start: &Import| -> Option<Vec<Import>> {
        let mut ways = BTreeMap::from([(start.to.as_str(), vec![start.clone()])]);
        let mut next = VecDeque::from([start.to.as_str()]);
        while let Some(file) = next.pop_front() {
            for import in of_file.get(file).into_iter().flatten() {
                let way = [ways[file].as_slice(), &[(*import).clone()]].concat();
                if import.to == start.from {
                    return Some(way);
                }
                if !ways.contains_key(import.to.as_str()) {
                    ways.insert(&import.to, way);
                    next.push_back(&import.to);
                }
            }
        }
        None
    };
    let from_first = |mut circle: Vec<Import>| {
        let first = (0..circle.len()).min_by_key(|&at| &circle[at].from).unwrap_or(0);
        circle.rotate_left(first);
        circle
    };
    imports.iter().filter_map(back).map(from_first).collect()
}
