//! What the packages depend on: each crate has its reason in `DEPENDENCIES.md`, and what `deny.toml` asks for holds without
//! cargo-deny too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use toml::{Table, Value as Toml};

/// Crates, and the packages that name them.
type Users = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn toml(path: &Path) -> Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of that name anywhere in the repository, with what the tables call their folder.
fn files(name: &str) -> Vec<(String, PathBuf)> {
    let root = root();
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_hidden = path.file_name().unwrap().to_str().is_none_or(|name| name.starts_with('.'));
            if path.is_dir() && !is_hidden && !path.ends_with("target") {
                folders.push(path);
            } else if path.ends_with(name) {
                let package = folder.strip_prefix(&root).unwrap().to_str().unwrap();
                files.push((package.replace("firmware-example/", ""), path));
            }
        }
    }
    files
}

/// Every crate that a manifest names and the repository does not hold.
fn in_manifests() -> Users {
    let mut users = Users::new();
    for (package, path) in files("Cargo.toml") {
        let manifest = toml(&path);
        let targets = manifest.get("target").and_then(Toml::as_table).into_iter().flat_map(|targets| targets.values());
        for table in targets.filter_map(Toml::as_table).chain([&manifest]) {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let crates = table.get(kind).and_then(Toml::as_table).into_iter().flat_map(|table| table.iter());
                for (name, _) in crates.filter(|(name, _)| !name.starts_with("emberlm")) {
                    users.entry(name.clone()).or_default().insert(package.clone());
                }
            }
        }
    }
    users
}

#[test]
fn every_dependency_has_its_reason_once() {
    let mut written = Users::new();
    for line in read(&root().join("DEPENDENCIES.md")).lines().filter(|line| line.starts_with("| `")) {
        let [name, packages, why] = line.trim_matches(['|', ' ']).split(" | ").collect::<Vec<_>>()[..] else {
            panic!("not three columns: {line}");
        };
        assert!(!why.is_empty(), "{line}");
        let packages = packages.split(", ").map(str::to_owned).collect();
        let before = written.insert(name.trim_matches('`').to_owned(), packages);
        assert_eq!(before, None, "{name} is there twice");
    }
    assert_eq!(written, in_manifests(), "DEPENDENCIES.md is left, the manifests are right");
}

#[test]
fn every_crate_comes_from_the_registry_and_once() {
    let deny = toml(&root().join("deny.toml"));
    let skipped =
        deny["bans"]["skip"].as_array().unwrap().iter().map(|skip| skip["crate"].as_str().unwrap().to_owned());
    let name = |(_, path): (String, PathBuf)| Some(toml(&path).get("package")?["name"].as_str()?.to_owned());
    let own: BTreeSet<String> = files("Cargo.toml").into_iter().filter_map(name).collect();
    let locks = files("Cargo.lock");
    assert!(locks.len() > 5, "{locks:?}");
    for (package, path) in locks {
        let lock = toml(&path);
        let mut names = BTreeMap::<&str, usize>::new();
        for found in lock["package"].as_array().unwrap() {
            let (name, source) = (found["name"].as_str().unwrap(), found.get("source"));
            *names.entry(name).or_default() += 1;
            match source {
                Some(source) => assert_eq!(
                    source.as_str(),
                    Some("registry+https://github.com/rust-lang/crates.io-index"),
                    "{name} of {}",
                    path.display()
                ),
                None => assert!(own.contains(name), "{name} of {}", path.display()),
            }
        }
        if package.is_empty() {
            let twice: BTreeSet<String> =
                names.iter().filter(|(_, n)| **n > 1).map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(twice, skipped.clone().collect(), "left: there more than once, right: allowed to be");
        }
    }
}

#[test]
fn every_licence_is_one_of_those_allowed() {
    let deny = toml(&root().join("deny.toml"));
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|licence| licence.as_str().unwrap()).collect();
    // Of what is built here: other systems' crates may not be on this machine.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &target])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{}", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        let licence = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{}: {error}", package["name"]));
        let is_allowed = licence.evaluate(|needed| {
            let id = needed.license.id();
            id.is_some_and(|id| allowed.contains(&id.name))
        });
        assert!(is_allowed, "{} is under {licence}", package["name"]);
    }
}
