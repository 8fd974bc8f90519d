//! How many values tables with a time to live have while keys come that never come again.

use super::*;
use crate::element::Key;
use crate::state::sweep::SWEEP_EVERY;
use crate::state::{KeyedBackend, TableSpec};
use std::time::Duration;

const GROUPS: u32 = 128;
const LIVE: i64 = 1_000;
const KEYS: u64 = 40_000;

fn lifetime(now: i64) -> Lifetime {
    Lifetime { config: StateTtlConfig::new(Duration::from_millis(LIVE as u64)), now }
}

fn spec() -> TableSpec {
    TableSpec::new("seen")
}

/// The most values a table has when a new key comes each millisecond; `count` is called before each part of the search.
fn most<K: Key, T: AnyTable>(
    table: &mut T,
    key: impl Fn(u64) -> Keyed<K>,
    mut add: impl FnMut(&mut T, &Keyed<K>, Lifetime),
    count: impl Fn(&mut T) -> usize,
) -> usize {
    let mut most = 0;
    for n in 0..KEYS {
        add(table, &key(n), lifetime(n as i64));
        if n % u64::from(SWEEP_EVERY) == 0 {
            most = most.max(count(table));
            table.sweep(n as i64).unwrap();
        }
    }
    most
}

/// Twice what lives, and what is looked at beside: a segment for each key group, and two parts of the search.
fn limit(per_key: usize) -> usize {
    2 * per_key * LIVE as usize + GROUPS as usize + 4 * SWEEP_EVERY as usize * per_key
}

#[test]
fn values_do_not_pile_up() {
    let mut backend = KeyedBackend::<u64>::in_memory(GROUPS);
    let mut table: Expiring<u64, Stamped<u8>> =
        Expiring::new(backend.table(spec()).unwrap(), lifetime(0).config);
    let most = most(
        &mut table,
        |n| backend.keyed(n),
        |table, key, now| table.change(key, now, |slot| *slot = Some(1)).unwrap(),
        |table| table.table.len(),
    );
    assert!((LIVE as usize..limit(1)).contains(&most), "{most}");
}

#[test]
fn elements_of_lists_do_not_pile_up() {
    let mut backend = KeyedBackend::<u64>::in_memory(GROUPS);
    let mut table: ExpiringList<u64, u64> =
        ExpiringList::new(backend.table(spec()).unwrap(), lifetime(0).config);
    // Ten keys come again and again, so that no list ever is as old as its first element.
    let most = most(
        &mut table,
        |n| backend.keyed(n % 10),
        |table, key, now| table.append(key, now, [1, 2, 3]).unwrap(),
        |table| {
            let mut elements = 0;
            table.lists.table.for_each(|_, (), list| elements += list.len()).unwrap();
            elements
        },
    );
    assert!((3 * LIVE as usize..limit(3)).contains(&most), "{most}");
}

#[test]
fn entries_of_maps_do_not_pile_up_however_many_a_record_adds() {
    let mut backend = KeyedBackend::<u64>::in_memory(GROUPS);
    let mut table: ExpiringMap<u64, u8, u8> =
        ExpiringMap::new(backend.map_table(spec()).unwrap(), lifetime(0).config);
    let most = most(
        &mut table,
        |n| backend.keyed(n),
        |table, key, now| (0..5).for_each(|user_key| table.put(key, now, user_key, 1).unwrap()),
        |table| {
            let mut entries = 0;
            table.table.for_each(|_, (), _, _| entries += 1).unwrap();
            entries
        },
    );
    assert!((5 * LIVE as usize..limit(5)).contains(&most), "{most}");
}
