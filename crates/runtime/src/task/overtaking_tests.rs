//! Barriers that overtake, under many schedules: a snapshot and the records that were recorded for it are together exactly
//! what lies before the barrier.

use super::tests::barrier;
use super::*;
use kvick_core::time::Millis;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

fn unaligned(id: u64) -> Arc<Barrier> {
    barrier(id, BarrierAlignment::Unaligned)
}

fn in_time(id: u64, millis: u64) -> Arc<Barrier> {
    barrier(id, BarrierAlignment::AlignedFor { timeout: Millis(millis) })
}

#[test]
fn the_first_barrier_to_arrive_is_enough_and_the_others_end_what_is_recorded() {
    let (mut alignment, now) = (Alignment::new(3, BTreeSet::new()), Instant::now());
    let outcome = alignment.announced(&unaligned(1), now, now);
    assert_eq!((outcome.aligned, outcome.overtaken), (Some(unaligned(1)), vec![0, 1, 2]));
    assert!(outcome.first && !outcome.block);
    assert_eq!(alignment.reached(0), None);
    assert_eq!(alignment.barrier(0, unaligned(1), now, now), Outcome::default(), "it was overtaken there");
    assert_eq!(alignment.closed(1, now).recorded, None);
    assert_eq!(alignment.barrier(2, unaligned(1), now, now).recorded, Some(1));
}

#[test]
fn a_barrier_with_time_to_align_overtakes_when_that_is_over() {
    let (mut alignment, now) = (Alignment::new(2, BTreeSet::new()), Instant::now());
    let at = now + Duration::from_millis(30);
    assert!(alignment.barrier(0, in_time(1, 30), at, now).block);
    assert_eq!(alignment.deadline(now), Some(at));
    assert_eq!(alignment.tick(at - Duration::from_millis(1)), Outcome::default());
    let outcome = alignment.tick(at);
    assert_eq!((outcome.aligned, outcome.overtaken), (Some(unaligned(1)), vec![1]));
    assert!(outcome.unblock);
    // In time, it is a plain alignment.
    let later = at + Duration::from_secs(1);
    assert!(alignment.barrier(0, in_time(2, 30), later, at).block);
    let outcome = alignment.barrier(1, in_time(2, 30), later, at);
    assert_eq!((outcome.aligned, outcome.overtaken), (Some(in_time(2, 30)), vec![]));
}

#[test]
fn channels_that_nobody_overtakes_in_are_waited_for() {
    let (mut alignment, now) = (Alignment::new(2, BTreeSet::from([1])), Instant::now());
    assert_eq!(alignment.announced(&unaligned(1), now, now).aligned, None);
    assert_eq!(alignment.deadline(now), None, "time alone changes nothing");
    let outcome = alignment.barrier(1, unaligned(1), now, now);
    assert_eq!((outcome.aligned, outcome.overtaken), (Some(unaligned(1)), vec![0]));
}

#[test]
fn an_older_savepoint_is_aligned_first() {
    let savepoint = barrier(1, BarrierAlignment::Aligned);
    let (mut alignment, now) = (Alignment::new(2, BTreeSet::new()), Instant::now());
    assert!(alignment.barrier(0, Arc::clone(&savepoint), now, now).block);
    assert_eq!(alignment.announced(&unaligned(2), now, now).aligned, None);
    assert_eq!(alignment.barrier(1, Arc::clone(&savepoint), now, now).aligned, Some(savepoint));
    assert_eq!(alignment.tick(now).aligned, Some(unaligned(2)));
}

#[test]
fn an_order_overtakes_what_finished_producers_have_left() {
    let (mut alignment, now) = (Alignment::new(2, BTreeSet::new()), Instant::now());
    alignment.closed(0, now);
    let outcome = alignment.order(unaligned(4), now, now);
    assert_eq!((outcome.aligned, outcome.overtaken), (Some(unaligned(4)), vec![1]));
    assert_eq!(alignment.closed(1, now).recorded, Some(4));
}

/// What lies in a channel: records by number, barriers, the end.
#[derive(Debug, Clone, PartialEq)]
enum Packet {
    Record(u32),
    Barrier(Arc<Barrier>),
    End,
}

/// One event of a schedule.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A packet arrives in a channel.
    Arrive(u16),
    /// The task takes a packet.
    Take(u16),
    /// Time passes, in milliseconds.
    Pass(u8),
    /// A checkpoint is aborted.
    Abort(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u16>().prop_map(Step::Arrive),
        5 => any::<u16>().prop_map(Step::Take),
        2 => any::<u8>().prop_map(Step::Pass),
        1 => (1_u64..7).prop_map(Step::Abort),
    ]
}

/// A task with its gate, as far as barriers go.
struct Model {
    alignment: Alignment,
    now: Instant,
    in_order: BTreeSet<usize>,
    /// What has yet to arrive, and what has.
    coming: Vec<VecDeque<Packet>>,
    queues: Vec<VecDeque<Packet>>,
    blocked: Vec<bool>,
    /// By channel: the records that were processed.
    processed: Vec<u32>,
    /// The snapshot that records are added to: its number, what was processed, what is recorded by channel.
    recording: Option<(u64, Vec<u32>, Vec<Vec<u32>>)>,
    /// Complete snapshots: by channel how many records they contain.
    complete: BTreeMap<u64, Vec<u32>>,
    given_up: BTreeSet<u64>,
    timeouts: BTreeMap<u64, Instant>,
}

impl Model {
    fn at(&mut self, barrier: &Barrier) -> Instant {
        let now = self.now;
        *self.timeouts.entry(barrier.id).or_insert_with(|| match barrier.alignment {
            BarrierAlignment::AlignedFor { timeout } => now + Duration::from_millis(timeout.0),
            _ => now,
        })
    }

    fn arrive(&mut self, channel: usize) {
        let Some(packet) = self.coming[channel].pop_front() else { return };
        self.queues[channel].push_back(packet.clone());
        match packet {
            Packet::Barrier(barrier)
                if barrier.alignment.may_overtake() && !self.in_order.contains(&channel) =>
            {
                let at = self.at(&barrier);
                let outcome = self.alignment.announced(&barrier, at, self.now);
                self.follow(None, outcome);
                self.reach(channel);
            }
            Packet::End => self.reach(channel),
            _ => {}
        }
    }

    fn take(&mut self, channel: usize) {
        let Some(packet) = self.queues[channel].pop_front() else { return };
        match packet {
            Packet::Record(number) => {
                if let (Some(_), Some((_, _, logs))) = (self.alignment.records(channel), &mut self.recording)
                {
                    logs[channel].push(number);
                }
                assert_eq!(self.processed[channel], number, "in order");
                self.processed[channel] += 1;
            }
            Packet::Barrier(barrier) => {
                let at = self.at(&barrier);
                let outcome = self.alignment.barrier(channel, barrier, at, self.now);
                self.follow(Some(channel), outcome);
            }
            Packet::End => {
                let outcome = self.alignment.closed(channel, self.now);
                self.follow(Some(channel), outcome);
            }
        }
    }

    fn reach(&mut self, channel: usize) {
        let Some(id) = self.alignment.records(channel) else { return };
        let ends = |p: &Packet| matches!(p, Packet::End) || matches!(p, Packet::Barrier(b) if b.id == id);
        let Some(end) = self.queues[channel].iter().position(ends) else { return };
        let (_, _, logs) = self.recording.as_mut().unwrap();
        for packet in self.queues[channel].iter().take(end) {
            if let Packet::Record(number) = packet {
                logs[channel].push(*number);
            }
        }
        let recorded = self.alignment.reached(channel);
        self.recorded(recorded);
    }

    fn recorded(&mut self, id: Option<u64>) {
        let Some(id) = id else { return };
        let (of, processed, logs) = self.recording.take().unwrap();
        assert_eq!(of, id);
        let contained = processed.iter().zip(logs).map(|(processed, log)| {
            let follows: Vec<u32> = (*processed..).take(log.len()).collect();
            assert_eq!(log, follows, "what is recorded follows what was processed");
            processed + log.len() as u32
        });
        let contained: Vec<u32> = contained.collect();
        assert!(self.complete.insert(id, contained).is_none());
    }

    fn follow(&mut self, channel: Option<usize>, outcome: Outcome) {
        for id in &outcome.given_up {
            assert!(self.given_up.insert(*id), "{id} is given up once");
            self.recording.take_if(|recording| recording.0 == *id);
        }
        if let Some(barrier) = &outcome.aligned {
            let timely = self.timeouts.get(&barrier.id).is_none_or(|at| *at <= self.now);
            assert!(timely || outcome.overtaken.is_empty(), "{barrier:?} overtakes too early");
            assert!(outcome.overtaken.iter().all(|channel| !self.in_order.contains(channel)));
            self.recording = Some((barrier.id, self.processed.clone(), vec![Vec::new(); self.queues.len()]));
            if outcome.overtaken.is_empty() {
                self.recorded(Some(barrier.id));
            } else {
                outcome.overtaken.iter().for_each(|channel| self.reach(*channel));
            }
        }
        if outcome.unblock {
            self.blocked.fill(false);
        }
        if let Some(channel) = channel.filter(|_| outcome.block) {
            self.blocked[channel] = true;
        }
        self.recorded(outcome.recorded);
    }

    fn tick(&mut self) {
        let outcome = self.alignment.tick(self.now);
        self.follow(None, outcome);
    }

    fn pick(&self, from: u16, which: impl Fn(&usize) -> bool) -> Option<usize> {
        let fit: Vec<usize> = (0..self.queues.len()).filter(which).collect();
        (!fit.is_empty()).then(|| fit[usize::from(from) % fit.len()])
    }

    fn step(&mut self, step: Step) -> bool {
        let moved = match step {
            Step::Arrive(from) => self.pick(from, |c| !self.coming[*c].is_empty()).map(|c| self.arrive(c)),
            Step::Take(from) => {
                self.pick(from, |c| !self.blocked[*c] && !self.queues[*c].is_empty()).map(|c| self.take(c))
            }
            Step::Pass(millis) => {
                self.now += Duration::from_millis(u64::from(millis));
                None
            }
            Step::Abort(id) => {
                self.recording.take_if(|recording| recording.0 == id);
                self.given_up.insert(id);
                let outcome = self.alignment.aborted(id);
                self.follow(None, outcome);
                None
            }
        };
        self.tick();
        moved.is_some()
    }
}

/// How the barriers of checkpoint `id` behave in a mixture.
fn kind(mix: u8, id: u64, timeout: u64) -> BarrierAlignment {
    match (u64::from(mix) + id) % 3 {
        0 => BarrierAlignment::Aligned,
        1 => BarrierAlignment::Unaligned,
        _ => BarrierAlignment::AlignedFor { timeout: Millis(timeout) },
    }
}

/// One channel: before each of six barriers some records, after them one, and the end; and how many lie before each.
fn channel(records: &[usize], mix: impl Fn(u64) -> BarrierAlignment) -> (VecDeque<Packet>, Vec<u32>) {
    let (mut packets, mut before, mut next) = (VecDeque::new(), Vec::new(), 0_u32);
    for (id, count) in (1..).zip(records) {
        packets.extend((next..next + *count as u32).map(Packet::Record));
        next += *count as u32;
        packets.push_back(Packet::Barrier(barrier(id, mix(id))));
        before.push(next);
    }
    packets.extend([Packet::Record(next), Packet::End]);
    (packets, before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(6000)))]

    #[test]
    fn a_snapshot_with_what_was_recorded_is_what_lies_before_the_barrier(
        records in prop::collection::vec(prop::collection::vec(0_usize..5, 6), 1..5),
        steps in prop::collection::vec(step(), 0..200),
        in_order in prop::collection::btree_set(0_usize..5, 0..2),
        mix in prop_oneof![Just(None), (0_u8..3).prop_map(Some)],
        timeout in 1_u64..300,
    ) {
        // Without a mixture all are unaligned.
        let kind = |id| mix.map_or(BarrierAlignment::Unaligned, |mix| kind(mix, id, timeout));
        let (coming, before): (Vec<_>, Vec<_>) = records.iter().map(|r| channel(r, kind)).unzip();
        let channels = coming.len();
        let in_order: BTreeSet<usize> = in_order.into_iter().filter(|c| *c < channels).collect();
        let mut model = Model {
            alignment: Alignment::new(channels, in_order.clone()),
            now: Instant::now(),
            in_order,
            coming,
            queues: vec![VecDeque::new(); channels],
            blocked: vec![false; channels],
            processed: vec![0; channels],
            recording: None,
            complete: BTreeMap::new(),
            given_up: BTreeSet::new(),
            timeouts: BTreeMap::new(),
        };
        let aborts = steps.iter().filter(|step| matches!(step, Step::Abort(_))).count();
        for step in steps {
            model.step(step);
        }
        let mut turn = 0_u16;
        while model.step(Step::Arrive(turn)) | model.step(Step::Take(turn)) {
            turn = turn.wrapping_add(7);
        }
        prop_assert!(model.queues.iter().all(VecDeque::is_empty), "a channel waits for ever");
        prop_assert!(model.recording.is_none(), "a recording never ends");
        for (id, contained) in &model.complete {
            let expected: Vec<u32> = before.iter().map(|channel| channel[*id as usize - 1]).collect();
            prop_assert_eq!(contained, &expected, "checkpoint {}", id);
        }
        if aborts == 0 {
            let all: BTreeSet<u64> = model.complete.keys().chain(&model.given_up).copied().collect();
            prop_assert_eq!(all, (1..=6).collect::<BTreeSet<u64>>(), "each checkpoint is answered");
        }
    }
}
