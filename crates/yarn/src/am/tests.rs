//! The machine by hand, one rule at a time; `schedules` is the machine against a model of the ResourceManager.

mod model;
mod rollover;
mod schedules;
mod updates;

use super::machine::{Call, Ending, Failure, Machine, Outcome, Output};
use super::*;
use crate::ids::ContainerId;
use crate::proto::yarn as pb;
use crate::records::FinalStatus;
use model::{container, container_id, status};

/// A registered machine whose calls are answered by hand.
fn registered() -> Machine {
    let mut machine = Machine::new(AmConfig::default(), Duration::ZERO);
    let (number, call) = machine.next_call(Duration::ZERO).unwrap();
    assert!(matches!(call, Call::Register(_)));
    machine.handle(
        Duration::ZERO,
        number,
        Outcome::Registered(pb::RegisterApplicationMasterResponse::default()),
    );
    machine.take_outputs();
    machine
}

fn wanted(count: u32) -> Wanted {
    Wanted { priority: 1, resource: Resource::new(256, 1), count, nodes: Vec::new(), label: None }
}

fn allocate(machine: &mut Machine, now: Duration) -> (u64, pb::AllocateRequest) {
    match machine.next_call(now) {
        Some((number, Call::Allocate(request))) => (number, request),
        other => panic!("{other:?}"),
    }
}

fn answer(id: i32) -> pb::AllocateResponse {
    pb::AllocateResponse { response_id: Some(id), ..Default::default() }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn heartbeats_are_slow_when_idle_fast_when_waiting_and_at_once_on_a_change() {
    let mut machine = registered();
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(SECOND, number, Outcome::Allocated(answer(1)));
    let idle = AmConfig::default().idle_interval;
    assert_eq!(machine.next_due(), Some(SECOND + idle));
    machine.set_wanted(SECOND, wanted(2));
    let due = machine.next_due().unwrap();
    assert!(due < SECOND + Duration::from_millis(10), "{due:?}");
    let (number, request) = allocate(&mut machine, due);
    assert_eq!(request.ask[0].num_containers(), 2);
    machine.handle(due, number, Outcome::Allocated(answer(2)));
    assert_eq!(machine.next_due(), Some(due + AmConfig::default().eager_interval));
}

#[test]
fn a_lost_answer_repeats_the_request_unchanged() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(2));
    let (number, first) = allocate(&mut machine, SECOND);
    machine.handle(SECOND, number, Outcome::Failed(Failure::Unknown("eof".into())));
    machine.set_wanted(SECOND, wanted(5));
    let (number, second) = allocate(&mut machine, 2 * SECOND);
    assert_eq!(first, second);
    machine.handle(2 * SECOND, number, Outcome::Allocated(answer(1)));
    let (_, third) = allocate(&mut machine, 3 * SECOND);
    assert_eq!((third.response_id(), third.ask[0].num_containers()), (1, 5));
}

#[test]
fn after_a_restart_all_is_said_again_with_response_id_0() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(2));
    machine.blacklist(vec!["bad".into()], &[]);
    let (number, _) = allocate(&mut machine, SECOND);
    let granted =
        pb::AllocateResponse { allocated_containers: vec![container(1, 1), container(2, 1)], ..answer(1) };
    machine.handle(SECOND, number, Outcome::Allocated(granted));
    machine.release(SECOND, container_id(1));
    let (number, _) = allocate(&mut machine, 2 * SECOND);
    machine.handle(2 * SECOND, number, Outcome::Failed(Failure::NotRegistered));
    let (number, call) = machine.next_call(2 * SECOND).unwrap();
    assert!(matches!(call, Call::Register(_)));
    machine.handle(2 * SECOND, number, Outcome::Registered(pb::RegisterApplicationMasterResponse::default()));
    assert!(machine.take_outputs().contains(&Output::Event(AmEvent::Reregistered)));
    let (_, request) = allocate(&mut machine, 3 * SECOND);
    assert_eq!((request.response_id(), request.ask[0].num_containers()), (0, 1));
    assert_eq!(ContainerId::from(&request.release[0]), container_id(1));
    assert_eq!(request.blacklist_request.unwrap().additions, ["bad"]);
}

#[test]
fn surplus_is_given_back_silently() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(1));
    let (number, _) = allocate(&mut machine, SECOND);
    let granted = pb::AllocateResponse {
        allocated_containers: vec![container(1, 1), container(2, 1), container(3, 9)],
        ..answer(1)
    };
    machine.handle(SECOND, number, Outcome::Allocated(granted));
    assert_eq!(machine.take_outputs().len(), 1);
    let (number, request) = allocate(&mut machine, 2 * SECOND);
    let released: Vec<i64> = request.release.iter().map(pb::ContainerId::id).collect();
    assert_eq!(released, [2, 3]);
    let ended =
        pb::AllocateResponse { completed_container_statuses: vec![status(2), status(3)], ..answer(2) };
    machine.handle(2 * SECOND, number, Outcome::Allocated(ended));
    assert!(machine.take_outputs().is_empty() && machine.is_quiet());
}

#[test]
fn a_refused_request_is_told_and_the_rest_said_again() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(1));
    machine.release(SECOND, container_id(7));
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(SECOND, number, Outcome::Failed(Failure::InvalidRequest("too large".into())));
    let rejected = AmEvent::RequestRejected { priorities: vec![1], reason: "too large".into() };
    assert_eq!(machine.take_outputs(), [Output::Event(rejected)]);
    let (_, request) = allocate(&mut machine, 2 * SECOND);
    assert!(request.ask.is_empty());
    assert_eq!((request.release.len(), request.response_id()), (1, 0));
}

#[test]
fn a_long_silence_ends_the_attempt() {
    let mut machine = registered();
    let expiry = AmConfig::default().expiry;
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(SECOND, number, Outcome::Failed(Failure::Unknown("refused".into())));
    let (number, _) = allocate(&mut machine, expiry - SECOND);
    machine.handle(expiry - SECOND, number, Outcome::Failed(Failure::Unknown("refused".into())));
    assert!(machine.next_call(expiry + SECOND).is_none() && machine.is_over());
    assert!(matches!(machine.take_outputs()[..], [Output::Event(AmEvent::ShutdownRequested { .. })]));
}

#[test]
fn finishing_is_repeated_until_unregistered_and_survives_a_restart() {
    let mut machine = registered();
    machine.finish(Ending {
        status: FinalStatus::Succeeded,
        diagnostics: "done".into(),
        tracking_url: String::new(),
    });
    let (number, call) = machine.next_call(SECOND).unwrap();
    assert!(matches!(call, Call::Finish(_)));
    machine.handle(SECOND, number, Outcome::Finished(false));
    let (number, _) = machine.next_call(2 * SECOND).unwrap();
    machine.handle(2 * SECOND, number, Outcome::Failed(Failure::NotRegistered));
    let (number, call) = machine.next_call(3 * SECOND).unwrap();
    assert!(matches!(call, Call::Register(_)));
    machine.handle(3 * SECOND, number, Outcome::Registered(pb::RegisterApplicationMasterResponse::default()));
    let (number, call) = machine.next_call(3 * SECOND).unwrap();
    assert!(matches!(call, Call::Finish(_)));
    machine.handle(3 * SECOND, number, Outcome::Finished(true));
    assert!(machine.is_over() && machine.take_outputs().contains(&Output::Finished));
}

#[test]
fn a_lost_place_is_found_again() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(2));
    machine.release(SECOND, container_id(7));
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(SECOND, number, Outcome::Failed(Failure::OutOfStep(5)));
    let (_, request) = allocate(&mut machine, 2 * SECOND);
    assert_eq!((request.response_id(), request.release.len()), (5, 1));
    assert_eq!(request.ask[0].num_containers(), 2);
}
