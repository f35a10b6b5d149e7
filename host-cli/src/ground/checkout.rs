//! Finding what a checkout of the project holds.

use std::env;
use std::path::{Path, PathBuf};

/// The file or folder `relative` of the checkout that the current folder or this program is in.
pub fn find(relative: impl AsRef<Path>) -> Option<PathBuf> {
    let starts = [env::current_dir(), env::current_exe()].into_iter().filter_map(Result::ok);
    above(starts, relative.as_ref())
}

/// The first of `relative` in one of `starts` or a folder above it.
fn above(starts: impl IntoIterator<Item = PathBuf>, relative: &Path) -> Option<PathBuf> {
    starts
        .into_iter()
        .find_map(|start| start.ancestors().map(|folder| folder.join(relative)).find(|path| path.exists()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_above_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (outer, inner) = (folder.path().join("models"), folder.path().join("a/models"));
        let start = folder.path().join("a/b");
        std::fs::create_dir_all(&start).unwrap();
        std::fs::create_dir(&outer).unwrap();
        assert_eq!(above([start.clone()], Path::new("models")), Some(outer));
        std::fs::create_dir(&inner).unwrap();
        assert_eq!(above([start.clone()], Path::new("models")), Some(inner));
        assert_eq!(above([start], Path::new("no such folder here")), None);
    }
}
