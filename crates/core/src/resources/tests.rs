//! What becomes of containers: asked for, given back, lost, wanted back.

use super::*;

const JOB: JobId = JobId(1);

fn id(number: u32) -> ExecutorId {
    ExecutorId(format!("container_{number}"))
}

/// A manager with executors 1, 2 … of a slot each on nodes of their own, and what it said so far forgotten.
fn manager(executors: u32, settings: ResourceSettings) -> ResourceManager {
    let mut manager = ResourceManager::new(settings);
    let mut fx = Vec::new();
    manager.cluster_size(9, &mut fx);
    for number in 1..=executors {
        start(&mut manager, Millis(0), number);
    }
    manager
}

fn start(manager: &mut ResourceManager, now: Millis, number: u32) -> Vec<ResourceEffect> {
    let mut fx = Vec::new();
    manager.container_starting(now, id(number), &format!("node{number}"), &mut fx);
    assert!(manager.registered(now, id(number), &format!("node{number}"), 1, &mut fx));
    fx
}

fn released(fx: &[ResourceEffect]) -> Vec<&ExecutorId> {
    let release = |effect: &'_ ResourceEffect| matches!(effect, ResourceEffect::ReleaseContainer { .. });
    fx.iter()
        .filter(|effect| release(effect))
        .filter_map(|effect| match effect {
            ResourceEffect::ReleaseContainer { executor, .. } => Some(executor),
            _ => None,
        })
        .collect()
}

#[test]
fn an_idle_executor_is_given_back_in_place_of_one_that_works() {
    let mut manager = manager(3, ResourceSettings::default());
    let mut fx = Vec::new();
    manager.require(Millis(0), JOB, 2, &mut fx);
    let wanted = WantedBack { strict: Vec::new(), negotiable: vec![id(1)] };
    fx.clear();
    manager.wanted_back(Millis(1), &wanted, &mut fx);
    assert_eq!(released(&fx), [&id(3)]);
    fx.clear();
    manager.wanted_back(Millis(2), &wanted, &mut fx);
    assert_eq!(fx, [], "that was settled; YARN says it until it has noticed");
}

#[test]
fn a_job_is_asked_to_leave_gets_another_slot_and_then_the_container_goes() {
    let mut manager = manager(1, ResourceSettings::default());
    let mut fx = Vec::new();
    manager.require(Millis(0), JOB, 1, &mut fx);
    fx.clear();
    manager.wanted_back(Millis(1), &WantedBack { strict: vec![id(1)], negotiable: Vec::new() }, &mut fx);
    let patience = Millis(1).plus(ResourceSettings::default().preemption_patience);
    let asked = ResourceEffect::Vacate { executor: id(1), jobs: vec![JOB], patience };
    assert_eq!(fx, [asked, ResourceEffect::WantContainers(1)]);
    let granted = start(&mut manager, Millis(2), 2);
    let elsewhere = SlotId { executor: id(2), index: 0 };
    assert!(granted.contains(&ResourceEffect::Grant { job: JOB, slots: vec![elsewhere] }), "{granted:?}");
    fx.clear();
    manager.vacated(Millis(3), JOB, &[SlotId { executor: id(1), index: 0 }], &mut fx);
    assert_eq!(released(&fx), [&id(1)]);
    assert_eq!(manager.wanted(), 0);
}

#[test]
fn a_wish_that_is_not_repeated_lapses() {
    let mut manager = manager(1, ResourceSettings::default());
    let mut fx = Vec::new();
    manager.require(Millis(0), JOB, 1, &mut fx);
    manager.wanted_back(Millis(1), &WantedBack { strict: vec![id(1)], negotiable: Vec::new() }, &mut fx);
    manager.heard(Millis(60_000), &id(1));
    fx.clear();
    manager.tick(Millis(60_001), &mut fx);
    assert!(fx.contains(&ResourceEffect::Stay { executor: id(1), jobs: vec![JOB] }), "{fx:?}");
    assert_eq!(manager.wanted(), 0, "no other is needed in its place any more");
}

#[test]
fn containers_on_a_node_that_is_taken_out_go_and_those_on_others_stay() {
    let mut manager = manager(2, ResourceSettings::default());
    let mut fx = Vec::new();
    manager.require(Millis(0), JOB, 2, &mut fx);
    fx.clear();
    manager.node_leaves(Millis(10), "node2", Millis(1_000), &mut fx);
    let asked = ResourceEffect::Vacate { executor: id(2), jobs: vec![JOB], patience: Millis(510) };
    assert_eq!(fx, [asked, ResourceEffect::WantContainers(1)]);
    fx.clear();
    manager.node_stays("node2", &mut fx);
    assert_eq!(
        fx,
        [ResourceEffect::Stay { executor: id(2), jobs: vec![JOB] }, ResourceEffect::WantContainers(0)]
    );
}

#[test]
fn containers_that_fail_exclude_their_node_and_those_that_the_cluster_takes_do_not() {
    let mut manager = manager(0, ResourceSettings::default());
    let mut fx = Vec::new();
    for number in 0..20 {
        manager.container_starting(Millis(0), id(number), "good", &mut fx);
        let taken = Failure::new(FailureKind::Withdrawn, "preempted");
        manager.container_ended(Millis(0), &id(number), taken, &mut fx);
    }
    assert!(!fx.iter().any(|effect| matches!(effect, ResourceEffect::ExcludeNodes(_))), "{fx:?}");
    assert_eq!(manager.paused_until, None, "nothing failed to start");
    for number in 20..23 {
        manager.container_starting(Millis(0), id(number), "bad", &mut fx);
        let failed = Failure::new(FailureKind::ExecutorLost, "exit code 1");
        manager.container_ended(Millis(0), &id(number), failed, &mut fx);
    }
    assert!(fx.contains(&ResourceEffect::ExcludeNodes(BTreeSet::from(["bad".to_string()]))), "{fx:?}");
    fx.clear();
    manager.tick(Millis(3_600_000), &mut fx);
    assert_eq!(fx, [ResourceEffect::ExcludeNodes(BTreeSet::new())], "after an hour it may be used again");
}

#[test]
fn a_spare_is_kept_and_replaced_when_it_is_used() {
    let settings = ResourceSettings { redundant_executors: 1, ..ResourceSettings::default() };
    let mut manager = manager(0, settings);
    let mut fx = Vec::new();
    manager.require(Millis(0), JOB, 1, &mut fx);
    assert_eq!(fx, [ResourceEffect::WantContainers(2)]);
    start(&mut manager, Millis(1), 1);
    start(&mut manager, Millis(1), 2);
    assert_eq!(manager.wanted(), 0);
    fx.clear();
    let lost = Failure::new(FailureKind::ExecutorLost, "killed");
    manager.container_ended(Millis(2), &id(1), lost, &mut fx);
    let elsewhere = SlotId { executor: id(2), index: 0 };
    assert!(fx.contains(&ResourceEffect::Grant { job: JOB, slots: vec![elsewhere] }), "at once: {fx:?}");
    assert_eq!(manager.wanted(), 1, "another spare is asked for");
}
