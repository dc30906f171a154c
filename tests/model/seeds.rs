//! Which histories are tried, and on how many threads.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// The seeds of `all` histories, or of a tenth of them, or one that is asked for.
pub fn seeds(all: u64) -> Range<u64> {
    if let Some(one) = std::env::var("TERTULIA_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return one..one + 1;
    }
    let everything = std::env::var("TERTULIA_LAWS").is_ok_and(|laws| laws == "all");
    0..if everything { all } else { all.div_ceil(10) }
}

/// Tries a law on all `seeds`, several at a time, and panics at the first that breaks it. What held is printed with the
/// name of the test, which is that of its thread.
pub fn hold<F: Future<Output = Result<(), String>>>(
    seeds: Range<u64>,
    law: impl Fn(u64) -> F + Sync,
) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if let Err(broken) = runtime.block_on(law(seed)) {
                panic!("seed {seed}: {broken}");
            }
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().expect("a law was broken, see above");
        }
    });
    let tried = thread::current();
    let law = tried.name().unwrap_or("the law");
    println!("{law}: held in {} histories, seeds {seeds:?}", seeds.end - seeds.start);
}

/// The first of `seeds` that breaks a law, if one does.
pub fn broken<F: Future<Output = Result<(), String>>>(
    mut seeds: Range<u64>,
    law: impl Fn(u64) -> F,
) -> Option<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    seeds.find(|seed| runtime.block_on(law(*seed)).is_err())
}
