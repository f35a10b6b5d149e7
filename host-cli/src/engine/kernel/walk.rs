//! The walk over a tile that every vector unit takes, each with vectors of its own.

/// For a unit with `LANES`, `VECTORS`, `ROWS` and `POSITIONS`, and `$vector`, a module of its operations:
/// - `fn registers(rounds) -> u64`: products of what is in registers, as many sums under way as in a block of positions; says
///   how many there were;
/// - `fn products(out, rows, positions)`: the products of a tile's rows with all positions;
/// - `fn blocks<const FOLDED: bool>(out, rows, positions)`: those of rows that are folded or not;
/// - `fn block<const N: usize, const FOLDED: bool>(out, rows, positions, at) -> usize`: those with `N` positions from `at` on;
///   says how many.
macro_rules! walk {
    ($features:literal, $vector:ident) => {
        #[target_feature(enable = $features)]
        fn registers(rounds: u64) -> u64 {
            let mut dots = [[$vector::zero(); POSITIONS]; VECTORS];
            let x = black_box([$vector::splat(1); 2]);
            for _ in 0..rounds {
                for dots in &mut dots {
                    for dot in dots {
                        *dot = $vector::add_products(*dot, x[0], x[1]);
                    }
                }
            }
            black_box(dots);
            2 * rounds * (ROWS * POSITIONS) as u64
        }

        #[target_feature(enable = $features)]
        fn products(out: Outputs<'_>, rows: &Packed, positions: Positions<'_>) {
            if rows.is_folded() { blocks::<true>(out, rows, positions) } else { blocks::<false>(out, rows, positions) }
        }

        #[target_feature(enable = $features)]
        fn blocks<const FOLDED: bool>(mut out: Outputs<'_>, rows: &Packed, positions: Positions<'_>) {
            let mut at = 0;
            while at < positions.scales.len() {
                at += match positions.scales.len() - at {
                    left if left >= POSITIONS => block::<POSITIONS, FOLDED>(&mut out, rows, positions, at),
                    4.. => block::<4, FOLDED>(&mut out, rows, positions, at),
                    2.. => block::<2, FOLDED>(&mut out, rows, positions, at),
                    _ => block::<1, FOLDED>(&mut out, rows, positions, at),
                };
            }
        }

        #[target_feature(enable = $features)]
        fn block<const N: usize, const FOLDED: bool>(
            out: &mut Outputs<'_>,
            rows: &Packed,
            positions: Positions<'_>,
            at: usize,
        ) -> usize {
            let mut x = [std::ptr::null(); N];
            for (i, x) in x.iter_mut().enumerate() {
                let words = &positions.words[(at + i) * positions.stride..(at + i + 1) * positions.stride];
                assert!(words.len() >= rows.words());
                *x = words.as_ptr();
            }
            let zeros = [[$vector::zero(); N]; VECTORS];
            // Sums of 64 bits in the even lanes and in the odd ones, or the high halves of folded sums and the sums themselves.
            let (mut even, mut odd) = (zeros, zeros);
            for (weights, scales) in rows.sums() {
                let mut dots = zeros;
                let weights = weights.as_chunks::<ROWS>().0;
                for (pair, weights) in weights.iter().enumerate() {
                    let mut w = [$vector::zero(); VECTORS];
                    for (w, weights) in w.iter_mut().zip(weights.as_chunks::<LANES>().0) {
                        *w = $vector::load(weights);
                    }
                    for (i, x) in x.iter().enumerate() {
                        // SAFETY: the position has a word for every pair of a row's weights.
                        let x = $vector::splat(unsafe { *x.add(pair) });
                        for (dots, w) in dots.iter_mut().zip(w) {
                            dots[i] = $vector::add_products(dots[i], w, x);
                        }
                    }
                }
                for x in &mut x {
                    *x = x.wrapping_add(weights.len());
                }
                let scales = scales.as_chunks::<LANES>().0;
                for (((even, odd), dots), scales) in even.iter_mut().zip(&mut odd).zip(dots).zip(scales) {
                    if FOLDED {
                        for ((high, all), dot) in even.iter_mut().zip(odd).zip(dots) {
                            (*high, *all) = ($vector::add($vector::high_half(dot), *high), $vector::add(*all, dot));
                        }
                        continue;
                    }
                    let scales = $vector::load_signed(scales);
                    let odd_scales = $vector::odd(scales);
                    for ((even, odd), dot) in even.iter_mut().zip(odd).zip(dots) {
                        *even = $vector::add_wide(*even, dot, scales);
                        *odd = $vector::add_wide(*odd, $vector::odd(dot), odd_scales);
                    }
                }
            }
            let row_scales = rows.row_scales().as_chunks::<LANES>().0;
            for i in 0..N {
                let unit = positions.scaling.unit(positions.scales[at + i]);
                let mut lanes = [0.0; ROWS];
                let sums = even.iter().zip(&odd).map(|(even, odd)| (even[i], odd[i]));
                for ((lanes, sums), scales) in lanes.as_chunks_mut::<LANES>().0.iter_mut().zip(sums).zip(row_scales) {
                    let sums = if FOLDED { $vector::unfold(sums.0, sums.1) } else { sums };
                    *lanes = $vector::finish(sums, positions.scaling.shift, scales, unit);
                }
                out.put(at + i, lanes);
            }
            N
        }
    };
}

pub(super) use walk;
