//! Changes to containers: said once, said again where they may be lost, answered once.

use super::*;
use crate::am::ContainerUpdate;
use crate::records::Container;

fn grown(number: i64, version: i32) -> pb::UpdatedContainer {
    let resource = pb::Resource { memory: Some(512), virtual_cores: Some(1), ..Default::default() };
    let container =
        pb::Container { resource: Some(resource), version: Some(version), ..container(number, 1) };
    pb::UpdatedContainer { update_type: 0, container }
}

/// A machine that holds container 1 and has been asked to give it more, one heartbeat ago.
fn growing() -> (Machine, Container, pb::AllocateRequest) {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(1));
    let (number, _) = allocate(&mut machine, SECOND);
    let granted = pb::AllocateResponse { allocated_containers: vec![container(1, 1)], ..answer(1) };
    machine.handle(SECOND, number, Outcome::Allocated(granted));
    machine.take_outputs();
    let held = Container::from_wire(&container(1, 1)).unwrap();
    machine.update(&held, &ContainerUpdate::Increase(Resource::new(512, 1)));
    assert!(machine.next_due().unwrap() < SECOND + Duration::from_millis(10), "a change is said at once");
    let (number, request) = allocate(&mut machine, 2 * SECOND);
    machine.handle(2 * SECOND, number, Outcome::Allocated(answer(2)));
    (machine, held, request)
}

#[test]
fn a_change_is_said_once_and_answered_once() {
    let (mut machine, _, request) = growing();
    let said = &request.update_requests[0];
    assert_eq!((said.container_version, said.update_type, request.update_requests.len()), (0, 0, 1));
    assert_eq!(said.capability.as_ref().unwrap().memory(), 512);
    let (number, request) = allocate(&mut machine, 4 * SECOND);
    assert!(request.update_requests.is_empty());
    let changed = || pb::AllocateResponse { updated_containers: vec![grown(1, 1)], ..answer(3) };
    machine.handle(4 * SECOND, number, Outcome::Allocated(changed()));
    let outputs = machine.take_outputs();
    let [Output::Updated(id, Ok(container))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((*id, container.version, container.resource.memory_mb), (container_id(1), 1, 512));
    let (number, _) = allocate(&mut machine, 6 * SECOND);
    machine.handle(6 * SECOND, number, Outcome::Allocated(changed()));
    assert!(machine.take_outputs().is_empty());
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let (mut machine, _, request) = growing();
    let refusal = pb::UpdateContainerError {
        reason: Some("INCORRECT_CONTAINER_VERSION_ERROR".into()),
        update_request: Some(request.update_requests[0].clone()),
        current_container_version: Some(3),
    };
    let (number, _) = allocate(&mut machine, 4 * SECOND);
    let response = pb::AllocateResponse { update_errors: vec![refusal], ..answer(3) };
    machine.handle(4 * SECOND, number, Outcome::Allocated(response));
    let outputs = machine.take_outputs();
    let [Output::Updated(_, Err(refused))] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(refused.to_string().contains("INCORRECT_CONTAINER_VERSION_ERROR"), "{refused}");
}

#[test]
fn an_unanswered_change_is_said_again_after_a_restart() {
    let (mut machine, ..) = growing();
    let (number, _) = allocate(&mut machine, 4 * SECOND);
    machine.handle(4 * SECOND, number, Outcome::Failed(Failure::NotRegistered));
    let (number, _) = machine.next_call(4 * SECOND).unwrap();
    let registered = Outcome::Registered(pb::RegisterApplicationMasterResponse::default());
    machine.handle(4 * SECOND, number, registered);
    let (_, request) = allocate(&mut machine, 6 * SECOND);
    assert_eq!(request.update_requests.len(), 1);
}

#[test]
fn the_end_of_the_container_and_another_change_end_a_change() {
    let (mut machine, held, _) = growing();
    machine.update(&held, &ContainerUpdate::Decrease(Resource::new(256, 1)));
    let outputs = machine.take_outputs();
    assert!(matches!(&outputs[..], [Output::Updated(_, Err(_))]), "{outputs:?}");
    let (number, request) = allocate(&mut machine, 4 * SECOND);
    assert_eq!(request.update_requests[0].update_type, 1);
    let ended = pb::AllocateResponse { completed_container_statuses: vec![status(1)], ..answer(3) };
    machine.handle(4 * SECOND, number, Outcome::Allocated(ended));
    let outputs = machine.take_outputs();
    let [Output::Updated(_, Err(refused)), Output::Event(AmEvent::Completed(_))] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert!(refused.reason.contains("ended"), "{refused}");
}
