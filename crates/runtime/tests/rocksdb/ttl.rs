//! State with a time to live in RocksDB: what has expired leaves the store as quickly as it comes, part by part.

use super::*;
use kvick_runtime::state::{
    KeyedStates, ListStateDescriptor, MapStateDescriptor, StateAccess, StateTtlConfig, ValueStateDescriptor,
};
use kvick_runtime::time::Clock;
use serde::Deserializer;
use serde::de::Error;
use std::time::Duration;

/// Milliseconds that a value lives.
const LIVE: u64 = 1_000;

/// A value as a table with a time to live has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stamped<V> {
    value: V,
    at: i64,
}

fn ttl() -> StateTtlConfig {
    StateTtlConfig::new(Duration::from_millis(LIVE))
}

fn states(world: &World) -> (KeyedStates<String>, Clock) {
    let clock = Clock::by_hand(0);
    (KeyedStates::new(world.alone(BackendKind::RocksDb, None)).with_clock(clock.clone()), clock)
}

/// Makes this the current key.
fn enter(states: &mut KeyedStates<String>, key: u64) -> Result<(), StateError> {
    let key = states.keyed(format!("key {key}"));
    states.set_current(key)
}

/// What a savepoint has of the states: tables with all stamps can be opened in it.
fn saved(world: &World, states: &mut KeyedStates<String>) -> KeyedBackend<String> {
    let barrier = world.barrier(1, CANONICAL, None);
    let mut snapshot = snapshot(&barrier);
    states.snapshot(&mut snapshot).unwrap();
    world.alone(BackendKind::HashMap, Some((1, world.write(0, &barrier, snapshot))))
}

#[test]
fn what_has_expired_leaves_the_store_as_quickly_as_it_comes() {
    let world = World::new();
    let (mut states, clock) = states(&world);
    let value = states.value_state(ValueStateDescriptor::<u8>::new("v").enable_time_to_live(ttl())).unwrap();
    let list = states.list_state(ListStateDescriptor::<u8>::new("l").enable_time_to_live(ttl())).unwrap();
    let map = states.map_state(MapStateDescriptor::<u8, u8>::new("m").enable_time_to_live(ttl())).unwrap();
    // As one removes duplicates: each key comes once.
    for n in 0..15 * LIVE {
        clock.set(n as i64);
        enter(&mut states, n).unwrap();
        value.update(&mut states, 1).unwrap();
        list.add_all(&mut states, [1, 2]).unwrap();
        map.put_all(&mut states, [(1, 1), (2, 2), (3, 3)]).unwrap();
    }
    let mut saved = saved(&world, &mut states);
    let (mut values, mut elements, mut entries) = (0, 0, 0);
    let mut table: Table<String, (), Stamped<u8>> = saved.table(TableSpec::new("v")).unwrap();
    table.for_each(|_, (), _| values += 1).unwrap();
    let mut table: Table<String, (), Vec<Stamped<u8>>> = saved.table(TableSpec::new("l")).unwrap();
    table.for_each(|_, (), list| elements += list.len() as u64).unwrap();
    let mut table: MapTable<String, (), u8, Stamped<u8>> = saved.map_table(TableSpec::new("m")).unwrap();
    table.for_each(|_, (), _, _| entries += 1).unwrap();
    for (count, of_a_key) in [(values, 1), (elements, 2), (entries, 3)] {
        // Half as many again as the search lets pile up.
        assert!((of_a_key * LIVE..3 * of_a_key * LIVE).contains(&count), "{values} {elements} {entries}");
    }
}

#[test]
fn elements_of_a_list_expire_one_by_one_and_leave_the_store() {
    let world = World::new();
    let (mut states, clock) = states(&world);
    let list = states.list_state(ListStateDescriptor::<u8>::new("l").enable_time_to_live(ttl())).unwrap();
    for (at, element) in [(0, 1), (600, 2), (900, 3)] {
        clock.set(at);
        enter(&mut states, 7).unwrap();
        list.add(&mut states, element).unwrap();
    }
    assert_eq!(list.get(&mut states).unwrap(), [1, 2, 3]);
    clock.set(1_000);
    assert_eq!(list.get(&mut states).unwrap(), [2, 3]);
    clock.set(1_600);
    (0..1_000).for_each(|_| enter(&mut states, 8).unwrap());
    let mut saved = saved(&world, &mut states);
    let mut table: Table<String, (), Vec<Stamped<u8>>> = saved.table(TableSpec::new("l")).unwrap();
    let mut left = Vec::new();
    table.for_each(|_, (), list| left.push(list.clone())).unwrap();
    assert_eq!(left, [[Stamped { value: 3, at: 900 }]]);
}

/// A value that is written, but cannot be read where it is 13.
#[derive(Debug, Clone, Serialize)]
struct Unlucky(u8);

impl<'de> Deserialize<'de> for Unlucky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unlucky, D::Error> {
        match u8::deserialize(deserializer)? {
            13 => Err(D::Error::custom("13 cannot be read")),
            number => Ok(Unlucky(number)),
        }
    }
}

#[test]
fn a_search_that_fails_is_told_with_the_name_of_the_state() {
    let world = World::new();
    let (mut states, _) = states(&world);
    let descriptor = ValueStateDescriptor::<Unlucky>::new("luck").enable_time_to_live(ttl());
    let value = states.value_state(descriptor).unwrap();
    enter(&mut states, 1).unwrap();
    value.update(&mut states, Unlucky(13)).unwrap();
    let error = (0..1_000).find_map(|_| enter(&mut states, 2).err()).unwrap().to_string();
    assert!(error.contains("\"luck\"") && error.contains("Unlucky"), "{error}");
}
