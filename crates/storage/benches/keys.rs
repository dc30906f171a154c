//! What keys cost: `cargo bench -p tertulia-storage`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tertulia_storage::{Descending, Key};

/// A room, a position in it, and an event: the longest keys are like this one.
type Place = (String, Descending<u64>, String);

fn key() -> Place {
    let room = "!0123456789012345678901234567890123456789012".to_owned();
    (room, Descending(123_456), "$0123456789012345678901234567890123456789012".to_owned())
}

fn keys(criterion: &mut Criterion) {
    let (key, bytes) = (key(), key().encode());
    criterion.bench_function("key: encode room, position and event", |bencher| {
        bencher.iter(|| black_box(&key).encode());
    });
    criterion.bench_function("key: decode room, position and event", |bencher| {
        bencher.iter(|| Place::decode(black_box(&bytes)));
    });
    let number = (1_u64, 2_u64);
    criterion.bench_function("key: encode two numbers", |bencher| {
        bencher.iter(|| black_box(&number).encode());
    });
}

criterion_group!(benches, keys);
criterion_main!(benches);
