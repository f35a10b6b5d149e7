//! Which entries of a list stay, and where they are then.

/// The entries of a list that stay, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Ascending.
    ids: Vec<u32>,
    of: u32,
}

impl Kept {
    /// Those of `of` entries whose places are `ids`.
    ///
    /// # Panics
    /// The places do not ascend, or the last is not below `of`.
    pub fn new(ids: Vec<u32>, of: u32) -> Self {
        let (ascend, end) = (ids.is_sorted_by(|a, b| a < b), ids.last().map_or(0, |last| last.saturating_add(1)));
        assert!(ascend && end <= of, "places ascend and are below {of}");
        Self { ids, of }
    }

    /// The places that they had.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many stay.
    pub const fn count(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Of how many.
    pub const fn of(&self) -> u32 {
        self.of
    }

    /// Whether none is left out.
    pub const fn is_whole(&self) -> bool {
        self.count() == self.of
    }

    /// The place that entry `id` has now; none where it is left out.
    pub fn place(&self, id: u32) -> Option<u32> {
        self.ids.binary_search(&id).ok().map(|place| place as u32)
    }

    /// Those of `list`'s entries that stay; of a shorter list those that it has.
    pub fn of_list<T: Clone>(&self, list: &[T]) -> Vec<T> {
        self.rows(list, 1)
    }

    /// Those of the rows of `cols` elements that stay.
    pub fn rows<T: Clone>(&self, list: &[T], cols: usize) -> Vec<T> {
        let mut rows = Vec::with_capacity(self.ids.len() * cols);
        for row in self.ids.iter().filter_map(|&id| list.get(id as usize * cols..(id as usize + 1) * cols)) {
            rows.extend_from_slice(row);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_moves_up() {
        let kept = Kept::new(vec![0, 2, 5], 6);
        assert_eq!((kept.count(), kept.of(), kept.is_whole()), (3, 6, false));
        assert_eq!([0, 1, 2, 5, 6].map(|id| kept.place(id)), [Some(0), None, Some(1), Some(2), None]);
        assert_eq!(kept.of_list(&['a', 'b', 'c', 'd']), ['a', 'c']);
        assert_eq!(kept.rows(&[0, 1, 10, 11, 20, 21], 2), [0, 1, 20, 21]);
        assert!(Kept::new(vec![0, 1], 2).is_whole() && Kept::new(vec![], 0).is_whole());
    }

    #[test]
    #[should_panic(expected = "below 2")]
    fn places_are_of_the_list() {
        Kept::new(vec![0, 2], 2);
    }
}
