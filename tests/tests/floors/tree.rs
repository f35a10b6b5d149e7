//! A crate's modules, and which file imports which.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{self, Module, Path, Use};

/// A file that names something of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file, below the crate's `src`.
    pub from: String,
    /// The file that has it.
    pub to: String,
    /// The path as it is written.
    pub path: String,
    /// Whether it is taken from the crate's root.
    pub is_of_root: bool,
}

/// A crate's modules by their paths, and the file of each.
#[derive(Debug)]
pub struct Crate(BTreeMap<Path, (String, Module)>);

/// What a path leads to.
struct Target {
    /// The module that it is, or that has it.
    module: Path,
    /// Whether it is something in that module.
    is_item: bool,
    /// Whether the way leads through what the root brings in or defines.
    is_of_root: bool,
}

/// Names that lead on and on lead nowhere.
const DEEPEST: usize = 32;

impl Crate {
    /// The modules of the crate whose files `source` reads, by their names below its `src`.
    ///
    /// # Panics
    /// A file is no Rust, or a module has none.
    pub fn read(source: impl Fn(&str) -> Option<String>) -> Self {
        let mut modules = BTreeMap::new();
        let mut left = vec![(Path::new(), "lib.rs".to_owned())];
        while let Some((at, file)) = left.pop() {
            let text = source(&file).unwrap_or_else(|| panic!("{file} is missing"));
            let folder = match file.rsplit_once('/') {
                _ if file == "lib.rs" => String::new(),
                Some((folder, "mod.rs")) => format!("{folder}/"),
                _ => format!("{}/", file.trim_end_matches(".rs")),
            };
            for module in paths::read(&text).unwrap_or_else(|error| panic!("{file}: {error}")) {
                let path = [at.as_slice(), &module.inner].concat();
                for name in &module.files {
                    let beside: String = module.inner.iter().map(|name| format!("{name}/")).collect();
                    let stem = format!("{folder}{beside}{name}");
                    let of_child = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
                    let child = of_child.into_iter().find(|file| source(file).is_some());
                    let child = child.unwrap_or_else(|| panic!("{file}: `mod {name}` has no file"));
                    left.push(([path.as_slice(), std::slice::from_ref(name)].concat(), child));
                }
                modules.insert(path, (file.clone(), module));
            }
        }
        Self(modules)
    }

    /// Every file, and the path of its own module.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().filter(|(_, (_, module))| module.inner.is_empty()).map(|(path, (file, _))| (file.as_str(), path))
    }

    /// The files in whose code one of `words` is part of a path.
    pub fn naming(&self, words: &[&str]) -> BTreeSet<&str> {
        let names = |path: &Path| path.iter().any(|segment| words.contains(&segment.as_str()));
        let naming = self
            .0
            .values()
            .filter(|(_, module)| module.paths.iter().chain(module.uses.iter().map(|used| &used.path)).any(names));
        naming.map(|(file, _)| file.as_str()).collect()
    }

    /// Every import of one file from another. What a folder's own file hands on from the files below it is none.
    pub fn imports(&self) -> Vec<Import> {
        let mut imports = BTreeMap::new();
        for (at, (from, module)) in &self.0 {
            let uses = module.uses.iter().filter(|used| !self.is_handed_on(at, used)).map(|used| &used.path);
            for path in uses.chain(&module.paths) {
                let Some(target) = self.resolve(at, path, 0) else { continue };
                // A module alone is no expression and no type: a variable has its name.
                if path.len() == 1 && !target.is_item {
                    continue;
                }
                let to = &self.0[&target.module].0;
                if to != from {
                    let is_of_root = target.is_of_root && !at.is_empty();
                    imports.entry((from, to, is_of_root)).or_insert_with(|| path.join("::"));
                }
            }
        }
        let import = |((from, to, is_of_root), path): ((&String, &String, bool), String)| Import {
            from: from.clone(),
            to: to.clone(),
            path,
            is_of_root,
        };
        imports.into_iter().map(import).collect()
    }

    fn is_handed_on(&self, at: &Path, used: &Use) -> bool {
        let target = self.resolve(at, &used.path, 0);
        used.is_public && target.is_some_and(|target| target.module.starts_with(at))
    }

    /// What `path` leads to from the module `at`; `None` where that is no part of the crate.
    fn resolve(&self, at: &Path, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let above = |at: &Path| at.split_last().map(|(_, above)| above.to_vec());
        match first.as_str() {
            "crate" => self.walk(Path::new(), rest, depth),
            "self" => self.walk(at.clone(), rest, depth),
            "super" => {
                let (mut at, mut rest) = (above(at)?, rest);
                while let Some((_, further)) = rest.split_first().filter(|(name, _)| *name == "super") {
                    (at, rest) = (above(&at)?, further);
                }
                self.walk(at, rest, depth)
            }
            name => {
                // Where it came in through the root, that was said where it came in.
                let found = self.find(at, name, depth)?;
                self.go_on(Target { is_of_root: false, ..found }, rest, depth)
            }
        }
    }

    /// What `rest` leads to from the module `at`, which a path has named.
    fn walk(&self, at: Path, rest: &[String], depth: usize) -> Option<Target> {
        let Some((name, further)) = rest.split_first() else {
            let is_of_root = at.is_empty();
            return Some(Target { module: at, is_item: false, is_of_root });
        };
        // What a macro made is not seen.
        let is_of_root = at.is_empty();
        let made = || Target { module: at.clone(), is_item: true, is_of_root };
        self.go_on(self.find(&at, name, depth).unwrap_or_else(made), further, depth)
    }

    fn go_on(&self, found: Target, rest: &[String], depth: usize) -> Option<Target> {
        if found.is_item || rest.is_empty() {
            return Some(found);
        }
        let further = self.walk(found.module, rest, depth)?;
        Some(Target { is_of_root: further.is_of_root || found.is_of_root, ..further })
    }

    /// What a name stands for in a module.
    fn find(&self, at: &Path, name: &str, depth: usize) -> Option<Target> {
        let (_, module) = &self.0[at];
        let is_of_root = at.is_empty();
        let child = [at.as_slice(), &[name.to_owned()]].concat();
        if self.0.contains_key(&child) {
            return Some(Target { module: child, is_item: false, is_of_root: false });
        }
        if module.items.iter().any(|item| item == name) {
            return Some(Target { module: at.clone(), is_item: true, is_of_root });
        }
        if depth == DEEPEST {
            return None;
        }
        let named = module.uses.iter().find(|used| used.name.as_deref() == Some(name) && !is_own(used, name));
        let found = match named {
            Some(used) => self.resolve(at, &used.path, depth + 1),
            None => module.uses.iter().filter(|used| used.name.is_none()).find_map(|used| {
                let all = self.resolve(at, &used.path, depth + 1).filter(|all| !all.is_item && all.module != *at)?;
                self.find(&all.module, name, depth + 1)
            }),
        };
        found.map(|found| Target { is_of_root: found.is_of_root || is_of_root, ..found })
    }
}

/// Whether a declaration is of a crate by its own name: `use serde;`.
fn is_own(used: &Use, name: &str) -> bool {
    used.path.len() == 1 && used.path[0] == name
}
