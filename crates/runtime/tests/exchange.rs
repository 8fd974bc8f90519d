//! Partitioners and the codec, for any records.

#![allow(clippy::unwrap_used)]

use kvick_core::checkpoint::{BarrierAlignment, SavepointFormat, SnapshotKind, SnapshotTarget};
use kvick_core::time::Millis;
use kvick_runtime::codec;
use kvick_runtime::element::{Barrier, Batch, Event};
use kvick_runtime::exchange::wire::Frame;
use kvick_runtime::hash::stable_hash;
use kvick_runtime::key_group::{default_max_parallelism, key_group, owner, range_of};
use kvick_runtime::partition::{
    CustomPartitioner, GlobalPartitioner, HashPartitioner, Partitioner, RebalancePartitioner,
    ShufflePartitioner,
};
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(64)))]

    #[test]
    fn a_batch_is_read_as_it_was_written(
        records in prop::collection::vec((".{0,40}", any::<i64>(), prop::option::of(any::<f64>())), 0..1500),
        stamped in any::<bool>(),
    ) {
        let records: Vec<_> = records.into_iter().filter(|r| !r.2.is_some_and(f64::is_nan)).collect();
        let timestamps = stamped.then(|| (0..records.len() as i64).collect());
        let original = Batch { records, timestamps: timestamps.filter(|t: &Vec<i64>| !t.is_empty()) };
        let (mut written, mut frames, mut counted) = (original.clone(), Vec::new(), 0);
        codec::encode(&mut written, |bytes, count| { frames.push(bytes); counted += count; }).unwrap();
        prop_assert!(written.is_empty());
        prop_assert_eq!(counted, original.len());
        let mut read = Batch::new();
        for frame in &frames {
            codec::decode(frame, &mut read).unwrap();
        }
        prop_assert_eq!(read, original);
    }

    #[test]
    fn bytes_that_are_no_batch_are_an_error_or_a_batch_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut batch: Batch<(String, u64)> = Batch::new();
        let _ = codec::decode(&bytes, &mut batch);
    }

    #[test]
    fn every_key_group_has_one_owner_and_owners_have_ranges(parallelism in 1_u32..300, extra in 0_u32..700) {
        let max = parallelism + extra;
        let mut next = 0;
        for subtask in 0..parallelism {
            let range = range_of(subtask, parallelism, max);
            prop_assert_eq!(range.start, next);
            prop_assert!(range.clone().all(|group| owner(group, parallelism, max) == subtask));
            next = range.end;
        }
        prop_assert_eq!(next, max);
    }

    #[test]
    fn equal_keys_reach_one_consumer_from_every_producer(keys in prop::collection::vec(".{0,20}", 1..100), channels in 1_usize..9) {
        let mut first = HashPartitioner::new(|key: &String| key.clone(), 128);
        let mut second = HashPartitioner::new(|key: &String| key.clone(), 128);
        Partitioner::<String>::setup(&mut first, 0, channels);
        Partitioner::<String>::setup(&mut second, 5, channels);
        for key in &keys {
            let chosen = first.select(key);
            prop_assert!(chosen < channels);
            prop_assert_eq!(chosen, second.select(key));
        }
    }

    #[test]
    fn rebalancing_is_fair_from_any_subtask_to_any_number_of_consumers(
        subtask in 0_u32..20, channels in 1_usize..20, records in 0_usize..500,
    ) {
        let mut rebalance = RebalancePartitioner::default();
        Partitioner::<usize>::setup(&mut rebalance, subtask, channels);
        let mut counts = vec![0; channels];
        (0..records).for_each(|record| counts[rebalance.select(&record)] += 1);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{counts:?}");
    }

    #[test]
    fn shuffling_neglects_no_consumer(subtask in 0_u32..20, channels in 1_usize..12) {
        let mut shuffle = ShufflePartitioner::default();
        Partitioner::<u64>::setup(&mut shuffle, subtask, channels);
        let mut counts = vec![0_usize; channels];
        let records = 1000 * channels as u64;
        (0..records).for_each(|record| counts[shuffle.select(&record)] += 1);
        prop_assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_program_s_own_choice_is_taken_as_long_as_there_is_such_a_consumer(
        choices in prop::collection::vec(any::<usize>(), 1..50), channels in 1_usize..20,
    ) {
        let mut custom = CustomPartitioner::new(|choice: &usize, _| *choice);
        Partitioner::<usize>::setup(&mut custom, 0, channels);
        for choice in choices {
            let chosen = custom.select(&choice);
            let taken = if choice < channels { chosen == choice } else { chosen < channels };
            prop_assert!(taken, "{choice} of {channels}: {chosen}");
        }
    }

    #[test]
    fn no_partitioner_chooses_a_channel_that_is_not_there(subtask in 0_u32..20, channels in 1_usize..20) {
        let mut all: Vec<Box<dyn Partitioner<u64>>> = vec![
            Box::new(RebalancePartitioner::default()),
            Box::new(ShufflePartitioner::default()),
            Box::new(GlobalPartitioner),
            Box::new(CustomPartitioner::new(|record: &u64, _| *record as usize)),
        ];
        for partitioner in &mut all {
            partitioner.setup(subtask, channels);
            prop_assert!((0..100).all(|record| partitioner.select(&record) < channels));
        }
    }
}

#[test]
fn rebalance_is_fair_and_hash_spreads_keys() {
    let mut rebalance = RebalancePartitioner::default();
    Partitioner::<u64>::setup(&mut rebalance, 2, 4);
    let mut counts = [0; 4];
    (0..400_u64).for_each(|record| counts[rebalance.select(&record)] += 1);
    assert_eq!(counts, [100; 4]);
    let mut groups = [0_u32; 128];
    (0..128_000).for_each(|n| groups[key_group(stable_hash(&format!("key-{n}")), 128) as usize] += 1);
    assert!(groups.iter().all(|count| (800..1200).contains(count)), "{groups:?}");
}

#[test]
fn hashes_never_change() {
    // Key groups of stored state follow from these values.
    let hashes =
        [stable_hash("hello"), stable_hash(&42_u64), stable_hash(&("user", 7_i32)), stable_hash(&Some('x'))];
    assert_eq!(hashes, GOLDEN);
    assert_eq!(stable_hash(&String::from("hello")), stable_hash("hello"));
}

const GOLDEN: [u64; 4] = [
    9_546_224_949_688_804_769,
    16_707_552_418_652_701_551,
    2_332_897_254_804_148_278,
    14_080_385_335_932_786_773,
];

#[test]
fn the_default_maximum_parallelism_is_flinks() {
    let cases = [(1, 128), (85, 128), (86, 256), (100, 256), (1000, 2048), (30_000, 32_768)];
    for (parallelism, expected) in cases {
        assert_eq!(default_max_parallelism(parallelism), expected, "parallelism {parallelism}");
    }
}

#[test]
fn events_cross_the_wire_with_all_that_a_barrier_carries() {
    let barrier = Barrier {
        id: 7,
        timestamp: Millis(1_700_000_000_000),
        kind: SnapshotKind::Stop { format: SavepointFormat::Native, drain: true },
        base: Some(6),
        alignment: BarrierAlignment::AlignedFor { timeout: Millis(30) },
        target: SnapshotTarget::Directory {
            exclusive: "hdfs:///c/chk-7".to_string(),
            shared: "hdfs:///c/shared".to_string(),
            task_owned: "hdfs:///c/taskowned".to_string(),
            inline_threshold: 20_480,
        },
    };
    let events = [Event::Barrier(Arc::new(barrier)), Event::Drain, Event::EndOfData, Event::Watermark(-5)];
    let frames = events.map(|event| Frame::Event { stream: 3, event });
    let mut wire = Vec::new();
    frames.iter().for_each(|frame| frame.write(&mut wire).unwrap());
    let mut rest = wire.as_slice();
    for frame in frames {
        assert_eq!(Frame::read(&mut rest).unwrap(), frame);
    }
}
