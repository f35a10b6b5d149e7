//! Pieces into regions that are not contiguous.

use super::boards::Region;
use super::memory::Piece;

/// The region of each piece, by its index, or none where it finds no room: first those that have a place of their own,
/// then the largest first, each into the first region with room.
pub fn place(pieces: &[Piece], regions: &[Region]) -> Vec<Option<usize>> {
    let mut free: Vec<u64> = regions.iter().map(|region| region.bytes).collect();
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|&index| (pieces[index].region.is_none(), std::cmp::Reverse(pieces[index].bytes)));
    let mut places = vec![None; pieces.len()];
    for index in order {
        let Piece { bytes, region, .. } = pieces[index];
        let candidates = match region {
            Some(region) => region..region + 1,
            None => 0..regions.len(),
        };
        places[index] = candidates.into_iter().find(|&region| free[region] >= bytes);
        if let Some(region) = places[index] {
            free[region] -= bytes;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_go_first_and_what_is_bound_before_all() {
        let regions = [("a", 100), ("b", 60)].map(|(name, bytes)| Region { name, bytes });
        let piece = |bytes| Piece { name: "p", bytes, region: None };
        let pieces = [piece(30), piece(60), Piece { region: Some(0), ..piece(50) }, piece(20)];
        assert_eq!(place(&pieces, &regions), [Some(0), Some(1), Some(0), Some(0)]);
        assert_eq!(place(&[piece(61), piece(70), piece(60)], &regions), [None, Some(0), Some(1)]);
    }
}
