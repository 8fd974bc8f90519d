//! Operator state whose type has changed: it is restored by the names of its fields, or refused, and never taken for what it is
//! not. And types that could be written but never read back.

#![allow(clippy::unwrap_used)]

use kvick_core::checkpoint::{NamedState, Redistribution, StateHandle, SubtaskState};
use kvick_core::config::Configuration;
use kvick_core::failure::{Failure, FailureKind};
use kvick_runtime::element::{Batch, Data};
use kvick_runtime::error::{TaskError, TaskResult};
use kvick_runtime::operator::{Operator, Output};
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::state::TableSpec;
use kvick_runtime::task::{JobInfo, TaskContext};
use kvick_runtime::testing::{Harness, context};
use kvick_runtime::time::Clock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keeps its records in a list, and emits them at the end.
struct Keeps<V> {
    redistribution: Redistribution,
    records: Vec<V>,
}

impl<V> Keeps<V> {
    fn new(redistribution: Redistribution) -> Keeps<V> {
        Keeps { redistribution, records: Vec::new() }
    }
}

impl<V: Data> Operator for Keeps<V> {
    type In = V;
    type Out = V;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.records = context.restored_list("kept")?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<V>, _: &mut Output<V>) -> TaskResult {
        self.records.append(&mut batch.records);
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(snapshot.list("kept", self.redistribution, &self.records)?)
    }

    fn end(&mut self, out: &mut Output<V>) -> TaskResult {
        self.records.drain(..).for_each(|record| out.push(record));
        Ok(())
    }
}

fn kept<V: Data>(redistribution: Redistribution, records: Vec<V>) -> SubtaskState {
    let mut harness = Harness::open(Keeps::new(redistribution)).unwrap();
    records.into_iter().for_each(|record| harness.process(record, 0).unwrap());
    harness.snapshot().unwrap()
}

fn restored<V: Data>(redistribution: Redistribution, state: &SubtaskState) -> Result<Vec<V>, Failure> {
    let states = std::slice::from_ref(state);
    match Harness::restored(Keeps::new(redistribution), states, 0, 1) {
        Ok(mut harness) => {
            harness.end().unwrap();
            Ok(harness.take_records())
        }
        Err(TaskError::Failed(failure)) => Err(failure),
        Err(canceled) => panic!("{canceled}"),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    amount: u32,
    note: String,
}

/// [`Order`] in a later program: fields have changed places, one was renamed, one is gone, one has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LaterOrder {
    #[serde(alias = "amount")]
    price: u64,
    id: u32,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OtherOrder {
    id: String,
    amount: u32,
    note: String,
}

fn orders() -> Vec<Order> {
    (0..4).map(|id| Order { id, amount: 100 + id, note: "x".repeat(id as usize) }).collect()
}

#[test]
fn a_list_is_restored_by_the_names_of_its_fields() {
    for redistribution in [Redistribution::Split, Redistribution::Union, Redistribution::Broadcast] {
        let state = kept(redistribution, orders());
        let later: Vec<LaterOrder> = restored(redistribution, &state).unwrap();
        let expected: Vec<LaterOrder> =
            (0..4).map(|id| LaterOrder { price: 100 + u64::from(id), id, tags: Vec::new() }).collect();
        assert_eq!(later, expected, "{redistribution:?}");
        assert_eq!(restored::<Order>(redistribution, &state).unwrap(), orders());
    }
}

#[test]
fn a_list_of_another_type_is_refused_with_both_schemas() {
    let state = kept(Redistribution::Split, orders());
    let failure = restored::<OtherOrder>(Redistribution::Split, &state).unwrap_err();
    assert!(failure.has_kind(FailureKind::StateIncompatible), "{failure:?}");
    let said = failure.to_string();
    assert!(said.contains("\"kept\"") && said.contains("id: u32") && said.contains("id: String"), "{said}");
    // Nothing of it is there to be misread.
    let empty = kept::<Order>(Redistribution::Split, Vec::new());
    assert!(restored::<OtherOrder>(Redistribution::Split, &empty).unwrap().is_empty());
}

/// The same list as an engine wrote it that knew of no schemas.
fn without_head(state: &SubtaskState) -> SubtaskState {
    let bare = |named: &NamedState| {
        let StateHandle::Inline { bytes } = &named.handle else { panic!("not inline: {named:?}") };
        let bytes = bytes.0[named.head as usize..].to_vec();
        let mut elements = named.elements.clone();
        elements.iter_mut().for_each(|element| element.offset -= named.head);
        NamedState { handle: StateHandle::Inline { bytes: bytes.into() }, head: 0, elements, ..named.clone() }
    };
    SubtaskState { operator: state.operator.iter().map(bare).collect(), ..state.clone() }
}

#[test]
fn a_list_from_before_schemas_is_read_as_the_type_that_it_had() {
    let old = without_head(&kept(Redistribution::Split, orders()));
    assert_eq!(restored::<Order>(Redistribution::Split, &old).unwrap(), orders());
    let failure = restored::<(u32, u32)>(Redistribution::Split, &old).unwrap_err();
    assert!(failure.has_kind(FailureKind::StateIncompatible), "{failure:?}");
    assert!(
        failure.to_string().contains("\"kept\"") && failure.to_string().contains("left over"),
        "{failure}"
    );
}

#[test]
fn a_list_whose_head_is_cut_off_is_damaged_and_not_of_another_type() {
    let mut state = kept(Redistribution::Split, orders());
    let StateHandle::Inline { bytes } = &mut state.operator[0].handle else { panic!("not inline") };
    *bytes = bytes.0[..20].to_vec().into();
    let failure = restored::<Order>(Redistribution::Split, &state).unwrap_err();
    assert!(failure.has_kind(FailureKind::StateDamaged), "{failure:?}");
}

/// Reads itself by what the format says comes next: state does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u64),
    Text(String),
}

fn said<T>(result: Result<T, impl std::fmt::Display>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_could_never_be_restored_is_refused_when_it_is_opened() {
    let context = context(0, 1, Clock::system());
    let mut backend = context.keyed_backend::<u64>().unwrap();
    for refused in [
        said(backend.table::<(), serde_json::Value>(TableSpec::new("kept"))),
        said(backend.memory_table::<(), Loose>(TableSpec::new("kept 2"))),
        said(backend.map_table::<(), String, Loose>(TableSpec::new("kept 3"))),
        said(context.restored_list::<Loose>("kept")),
    ] {
        assert!(refused.contains("\"kept") && refused.contains("cannot be kept as state"), "{refused:?}");
    }
}

#[test]
fn batch_mode_which_takes_no_snapshots_keeps_whatever_it_is_given() {
    let mut context = context(0, 1, Clock::system());
    let mut config = Configuration::default();
    config.set("execution.runtime-mode", "BATCH");
    context.job = Arc::new(JobInfo { config: Arc::new(config), ..JobInfo::clone(&context.job) });
    let mut backend = context.keyed_backend::<u64>().unwrap();
    let mut table = backend.table::<(), serde_json::Value>(TableSpec::new("kept")).unwrap();
    let key = backend.keyed(7);
    table.put(&key, &(), serde_json::json!({"a": 1})).unwrap();
    assert_eq!(table.get(&key, &()).unwrap().cloned(), Some(serde_json::json!({"a": 1})));
    assert!(backend.map_table::<(), String, Loose>(TableSpec::new("map")).is_ok());
    assert!(context.restored_list::<Loose>("list").unwrap().is_empty());
}
