//! The alignment under many schedules: what it promises to the operators behind it.

use super::*;
use kvick_core::checkpoint::{SnapshotKind, SnapshotTarget};
use kvick_core::time::Millis;
use proptest::prelude::*;
use std::collections::VecDeque;

fn now() -> Instant {
    Instant::now()
}

pub(super) fn barrier(id: u64, alignment: BarrierAlignment) -> Arc<Barrier> {
    Arc::new(Barrier {
        id,
        timestamp: Millis(0),
        kind: SnapshotKind::Checkpoint,
        base: None,
        alignment,
        target: SnapshotTarget::Inline { max_bytes: 0 },
    })
}

fn exactly(id: u64) -> Arc<Barrier> {
    barrier(id, BarrierAlignment::Aligned)
}

#[test]
fn a_barrier_is_answered_once_every_open_channel_has_delivered_it() {
    let mut alignment = Alignment::new(3, BTreeSet::new());
    let first = alignment.barrier(0, exactly(1), now(), now());
    assert!(first.block && first.first && !first.unblock);
    assert!(alignment.barrier(1, exactly(1), now(), now()).block);
    let outcome = alignment.closed(2, now());
    assert_eq!((outcome.aligned, outcome.unblock), (Some(exactly(1)), true));
}

#[test]
fn a_newer_barrier_gives_up_the_older_one_whose_rest_is_ignored() {
    let mut alignment = Alignment::new(2, BTreeSet::new());
    assert!(alignment.barrier(0, exactly(1), now(), now()).block);
    let newer = alignment.barrier(1, exactly(2), now(), now());
    assert_eq!((newer.given_up, newer.unblock, newer.block), (vec![1], true, true));
    assert_eq!(alignment.barrier(0, exactly(2), now(), now()).aligned, Some(exactly(2)));
    assert_eq!(alignment.barrier(1, exactly(1), now(), now()), Outcome::default());
}

#[test]
fn an_abort_lets_channels_go_on_and_late_barriers_pass() {
    let mut alignment = Alignment::new(2, BTreeSet::new());
    assert!(alignment.barrier(0, exactly(1), now(), now()).block);
    assert!(alignment.aborted(1).unblock);
    assert_eq!(alignment.barrier(1, exactly(1), now(), now()), Outcome::default());
    assert!(!alignment.aborted(2).unblock);
    assert_eq!(alignment.barrier(0, exactly(2), now(), now()), Outcome::default());
}

#[test]
fn an_order_waits_for_the_last_records_of_producers_that_have_finished() {
    let mut alignment = Alignment::new(2, BTreeSet::new());
    alignment.closed(0, now());
    assert_eq!(alignment.order(exactly(3), now(), now()).aligned, None);
    assert_eq!(alignment.closed(1, now()).aligned, Some(exactly(3)));
    assert_eq!(alignment.order(exactly(3), now(), now()).aligned, None, "the same order twice");
    assert_eq!(alignment.order(exactly(4), now(), now()).aligned, Some(exactly(4)));
}

/// What a channel carries: records, barriers in rising order (some dropped by the producer), then its end.
#[derive(Debug, Clone)]
enum Packet {
    Record,
    Barrier(u64),
    End,
}

fn channel(checkpoints: u64) -> impl Strategy<Value = Vec<Packet>> {
    prop::collection::vec((0_usize..4, prop::bool::weighted(0.9)), checkpoints as usize).prop_map(|parts| {
        let mut packets = Vec::new();
        for (id, (records, sent)) in (1..).zip(parts) {
            packets.extend(std::iter::repeat_n(Packet::Record, records));
            packets.extend(sent.then_some(Packet::Barrier(id)));
        }
        packets.extend([Packet::Record, Packet::End]);
        packets
    })
}

/// Runs a schedule and checks after each step what the alignment promises.
fn run(channels: Vec<Vec<Packet>>, order: &[u16], aborts: &[(usize, u64)], mode: BarrierAlignment) {
    let exactly_once = mode != BarrierAlignment::AtLeastOnce;
    let mut queues: Vec<VecDeque<Packet>> = channels.into_iter().map(VecDeque::from).collect();
    let mut alignment = Alignment::new(queues.len(), BTreeSet::new());
    let (mut blocked, mut answered) = (vec![false; queues.len()], BTreeSet::new());
    // By channel: the newest barrier that was taken from it.
    let (mut passed, mut aborted) = (vec![0_u64; queues.len()], BTreeSet::new());
    let mut closed = vec![false; queues.len()];
    let mut step = 0;
    loop {
        let ready: Vec<usize> =
            (0..queues.len()).filter(|c| !blocked[*c] && !queues[*c].is_empty()).collect();
        if ready.is_empty() {
            break;
        }
        for (_, id) in aborts.iter().filter(|(at, _)| *at == step) {
            aborted.insert(*id);
            if alignment.aborted(*id).unblock {
                blocked.fill(false);
            }
        }
        let chosen = ready[usize::from(order[step % order.len()]) % ready.len()];
        step += 1;
        let outcome = match queues[chosen].pop_front() {
            Some(Packet::Barrier(id)) => {
                passed[chosen] = id;
                alignment.barrier(chosen, barrier(id, mode), now(), now())
            }
            Some(Packet::End) => {
                closed[chosen] = true;
                alignment.closed(chosen, now())
            }
            _ => continue,
        };
        if let Some(done) = &outcome.aligned {
            assert!(answered.last().is_none_or(|last| *last < done.id), "answers rise: {done:?}");
            assert!(!aborted.contains(&done.id), "an aborted checkpoint is not answered");
            answered.insert(done.id);
            for (index, passed) in passed.iter().enumerate().filter(|(i, _)| !closed[*i]) {
                assert!(*passed >= done.id, "channel {index} has not delivered {}", done.id);
                assert!(!exactly_once || *passed == done.id, "channel {index} is past {}", done.id);
            }
        }
        if outcome.unblock {
            blocked.fill(false);
        }
        blocked[chosen] |= outcome.block;
        assert!(exactly_once || !outcome.block);
    }
    assert!(queues.iter().all(VecDeque::is_empty), "a channel waits for ever: {queues:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(4000)))]

    #[test]
    fn no_schedule_breaks_the_promises(
        channels in prop::collection::vec(channel(6), 1..5),
        order in prop::collection::vec(any::<u16>(), 1..60),
        aborts in prop::collection::vec((0_usize..60, 1_u64..7), 0..4),
        at_least_once in any::<bool>(),
    ) {
        let mode = if at_least_once { BarrierAlignment::AtLeastOnce } else { BarrierAlignment::Aligned };
        run(channels, &order, &aborts, mode);
    }

    #[test]
    fn without_losses_every_checkpoint_is_answered(
        records in prop::collection::vec(prop::collection::vec(0_usize..4, 5), 1..5),
        order in prop::collection::vec(any::<u16>(), 1..60),
    ) {
        let packets = |parts: Vec<usize>| {
            let part = |(id, n)| std::iter::repeat_n(Packet::Record, n).chain([Packet::Barrier(id)]);
            (1..).zip(parts).flat_map(part).chain([Packet::End]).collect::<Vec<_>>()
        };
        let mut queues: Vec<VecDeque<Packet>> = records.into_iter().map(|p| packets(p).into()).collect();
        let (mut alignment, mut blocked) = (Alignment::new(queues.len(), BTreeSet::new()), vec![false; queues.len()]);
        let (mut answered, mut step) = (Vec::new(), 0);
        while let Some(chosen) = {
            let ready: Vec<usize> = (0..queues.len()).filter(|c| !blocked[*c] && !queues[*c].is_empty()).collect();
            (!ready.is_empty()).then(|| ready[usize::from(order[step % order.len()]) % ready.len()])
        } {
            step += 1;
            let outcome = match queues[chosen].pop_front() {
                Some(Packet::Barrier(id)) => alignment.barrier(chosen, exactly(id), now(), now()),
                Some(Packet::End) => alignment.closed(chosen, now()),
                _ => continue,
            };
            answered.extend(outcome.aligned.map(|b| b.id));
            if outcome.unblock {
                blocked.fill(false);
            }
            blocked[chosen] |= outcome.block;
        }
        prop_assert_eq!(answered, vec![1, 2, 3, 4, 5]);
    }
}
