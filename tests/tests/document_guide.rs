//! Core's guide names what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use emberlm::device::BOARDS;
use emberlm::plan::cores::CORES;
use emberlm_tests::document::Document;

/// A target, and the feature of core's that it is built with.
type Build = (String, String);

/// The table of kernels: what each row says to build with, and its names for `-Ctarget-cpu`.
fn kernels() -> Vec<(Build, Vec<String>)> {
    let rows = Document::open("core/src/guide/kernels.md").table("| core | type | feature |");
    let words = |cell: &str| cell.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect();
    rows.iter().map(|row| ((row[3].clone(), row[2].clone()), words(&row[4]))).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn the_table_of_kernels_has_every_build_that_links_without_a_panic() {
    let table: BTreeSet<Build> = kernels().into_iter().map(|(build, _)| build).collect();
    for line in read("firmware-example/no-panic/targets").lines() {
        let (target, feature) = line.split_once(' ').unwrap_or((line, ""));
        assert!(table.contains(&(target.to_owned(), feature.to_owned())), "{line}");
    }
}

#[test]
fn the_table_of_kernels_has_every_boards_core() {
    let table = kernels();
    for board in BOARDS {
        let cpu = board.rustflags.split_whitespace().find_map(|flag| flag.strip_prefix("-Ctarget-cpu="));
        let is_it = |((target, _), cpus): &(Build, Vec<String>)| {
            target == board.target && cpu.is_none_or(|cpu| cpus.iter().any(|named| named == cpu))
        };
        assert!(table.iter().any(is_it), "{}: {} {}", board.name, board.target, board.rustflags);
    }
}

/// What `inspect --rust` says of a core is a row.
#[test]
fn the_table_of_kernels_has_every_core_that_programs_are_printed_for() {
    let table = kernels();
    for core in CORES {
        let cpu = core.rustflags.iter().find_map(|flag| flag.strip_prefix("-Ctarget-cpu="));
        let is_it = |((target, feature), cpus): &(Build, Vec<String>)| {
            target == core.target
                && feature == core.feature.unwrap_or_default()
                && cpu.is_none_or(|cpu| cpus.iter().any(|named| named == cpu))
        };
        assert!(table.iter().any(is_it), "{core:?}");
    }
}

#[test]
fn the_table_of_kernels_names_features_and_types_that_there_are() {
    let (features, kernels_of_core) = (read("core/Cargo.toml"), read("core/src/kernel/mod.rs"));
    for ((_, feature), _) in kernels() {
        assert!(feature.is_empty() || features.contains(&format!("\n{feature} = []\n")), "{feature}");
    }
    for kernel in ["Portable", "Scalar", "CortexMDsp", "CortexMMve"] {
        assert!(kernels_of_core.contains(kernel) && read("core/src/guide/kernels.md").contains(kernel), "{kernel}");
    }
}
