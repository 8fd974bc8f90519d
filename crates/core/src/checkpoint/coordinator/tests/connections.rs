//! A connection breaks while a checkpoint is under way, and takes orders and acknowledgements with it; and what a new application
//! master tells tasks that it takes over.

use super::*;

/// Far longer than any connection is away.
fn patient() -> CheckpointSettings {
    CheckpointSettings { timeout: Millis(600_000), ..settings() }
}

fn reconnected(it: &mut Dialogue, now: u64, tasks: &[(u128, u32)]) {
    let executions: Vec<ExecutionId> =
        tasks.iter().map(|(vertex, subtask)| task(*vertex, *subtask)).collect();
    it.say(|c, fx| c.reconnected(Millis(now), &executions, fx));
}

#[test]
fn a_checkpoint_that_misses_who_was_away_is_given_up_without_blame_and_the_next_is_on_time() {
    let mut it = Dialogue::new(CheckpointSettings { tolerable_failures: 0, ..patient() });
    it.tick(1_000);
    it.acknowledge(1_001, 1, (1, 0), TaskSnapshot::default());
    reconnected(&mut it, 1_500, &[(1, 0)]);
    assert!(it.told().is_empty(), "it has acknowledged: nothing is missed");
    reconnected(&mut it, 1_500, &[(1, 1)]);
    assert_eq!(it.told(), [&CheckpointCommand::Abort { checkpoint: 1 }]);
    assert_eq!(it.discarded(), [(Some(1), Some("hdfs:///c/chk-1"), vec![])]);
    assert_eq!((it.job_failure(), it.it.next_deadline()), (None, Some(Millis(2_000))));
    it.complete(2_000, 2);
}

#[test]
fn what_somebody_waits_for_is_taken_again_at_once() {
    let mut it = Dialogue::new(patient());
    it.ask(1, SnapshotRequest::Checkpoint { full: false });
    assert_eq!(it.triggered(), [1]);
    reconnected(&mut it, 2, &[(2, 0)]);
    assert_eq!((it.triggered(), it.answer()), (vec![2], None));
    it.acknowledge_all(3, 2);
    it.stored(4, 2);
    assert!(it.answer().unwrap().is_ok());
}

#[test]
fn stopping_with_a_savepoint_outlives_a_broken_connection() {
    for drain in [true, false] {
        let mut it = Dialogue::new(patient());
        it.ask(0, stop(drain));
        it.prepared(1, Ok("hdfs:///t/p"));
        assert_eq!(it.triggered(), [1]);
        reconnected(&mut it, 2, &[(2, 0)]);
        assert_eq!((it.answer(), it.job_failure()), (None, None));
        assert!(it.discarded().contains(&(Some(1), Some("hdfs:///t/p"), vec![])), "{:?}", it.discarded());
        it.say(|c, fx| c.savepoint_prepared(Millis(3), 2, Ok("hdfs:///t/q".into()), fx));
        assert_eq!(it.triggered(), [2]);
        it.acknowledge_all(4, 2);
        it.stored(5, 2);
        assert_eq!(it.told(), [&CheckpointCommand::Complete { checkpoint: 2 }]);
        it.say(|c, fx| c.ended(Millis(6), JobState::Finished, fx));
        assert_eq!(it.answer(), Some(Ok("hdfs:///t/q".into())));
    }
}

#[test]
fn who_was_away_is_told_what_will_not_be_so_that_nobody_stands_still_for_it() {
    let mut it = Dialogue::new(settings());
    it.ask(0, stop(false));
    it.prepared(1, Ok("hdfs:///t/p"));
    it.acknowledge(2, 1, (2, 0), TaskSnapshot::default());
    it.tick(5_001);
    assert!(it.answer().unwrap().is_err(), "it took too long");
    reconnected(&mut it, 6_000, &[(2, 0)]);
    let tell = CoordinatorEffect::Tell {
        executions: vec![task(2, 0)],
        command: CheckpointCommand::Abort { checkpoint: 1 },
    };
    assert!(it.fx.contains(&tell), "{:?}", it.fx);
}

#[test]
fn what_was_completed_and_cannot_be_read_is_neither_taken_back_nor_removed() {
    let mut old = Dialogue::new(settings());
    old.complete(1_000, 1);
    let completed = old.it.completed().to_vec();
    let mut it = Dialogue::new(settings());
    let unreadable = BTreeSet::from([2]);
    let kept = KeptCheckpoints { completed, unreadable, lost: None, next_id: 6 };
    it.say(|c, fx| c.recover_kept(kept, fx));
    it.say(|c, fx| c.adopted(3, fx));
    let expected =
        [CheckpointCommand::Abort { checkpoint: 3 }, CheckpointCommand::Complete { checkpoint: 1 }];
    assert_eq!(it.told(), expected.iter().collect::<Vec<_>>(), "sinks have committed checkpoint 2");
    assert_eq!(it.discarded(), [(Some(3), Some("hdfs:///c/chk-3"), vec![])]);
    it.tick(2_000);
    assert_eq!(it.triggered(), [6]);
}
