//! Work shared among threads, each with memory of its own, results in order.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Threads that this machine runs at once.
pub fn available() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The outcome of `work` on each item, in the items' order, by up to `n_workers` threads, each with a state that `init`
/// makes.
///
/// # Errors
/// A state cannot be made, or the error of the first item, by order, that has one. Items after it may not be worked on.
pub fn map_in_order<T, S, R, E>(
    items: &[T],
    n_workers: usize,
    init: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    // Items are taken in order and one that was taken is finished, so whatever comes before a failure is known.
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut state = init().inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(&mut state, item);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((index, result));
        }
        Ok(done)
    };
    let n_workers = n_workers.clamp(1, items.len().max(1));
    let done: Result<Vec<Vec<_>>, E> = thread::scope(|scope| {
        let others: Vec<_> = (1..n_workers).map(|_| scope.spawn(worker)).collect();
        let own = worker();
        let joined = others.into_iter().map(|other| match other.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(own).chain(joined).collect()
    });
    let mut results: Vec<(usize, Result<R, E>)> = done?.into_iter().flatten().collect();
    results.sort_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_number_of_workers() {
        let items: Vec<usize> = (0..100).collect();
        for n_workers in [0, 1, 3, 200] {
            let squares = map_in_order(&items, n_workers, || Ok(()), |(), &i| Ok::<_, ()>(i * i)).unwrap();
            assert!(squares.iter().enumerate().all(|(i, &square)| square == i * i));
            assert_eq!(squares.len(), 100);
        }
        assert_eq!(map_in_order(&[], 4, || Ok(()), |(), (): &()| Ok::<_, ()>(())), Ok(vec![]));
        assert_eq!(map_in_order(&items, 4, || Err::<(), _>(7), |(), &i| Ok(i)), Err(7));
    }

    #[test]
    fn the_first_error_by_order_is_the_one_returned() {
        let items: Vec<usize> = (0..1000).collect();
        for _ in 0..20 {
            let work = |_: &mut (), &i: &usize| if i % 300 == 299 { Err(i) } else { Ok(i) };
            assert_eq!(map_in_order(&items, 4, || Ok(()), work), Err(299));
        }
    }
}
