//! Alignment by itself, and under schedules of lost, late and reordered messages, restarts and new application masters.

use super::*;
use crate::ids::VertexId;

const GROUP: &str = "readings";

fn stream(subtask: u32, attempt: u32) -> ExecutionId {
    ExecutionId { vertex: VertexId(1), subtask, attempt }
}

fn report(streams: &[(ExecutionId, i64)]) -> GroupReport {
    GroupReport { group: GROUP.into(), streams: streams.to_vec() }
}

fn elsewhere(bound: Option<GroupBound>) -> Option<i64> {
    bound.map(|bound| bound.elsewhere)
}

#[test]
fn a_worker_hears_of_the_slowest_stream_elsewhere_once_all_have_told() {
    let streams: BTreeSet<_> = (0..3).map(|subtask| stream(subtask, 0)).collect();
    let mut alignment = Alignment::default();
    let mut tell = |told: &[(ExecutionId, i64)]| elsewhere(alignment.report(&report(told), &streams));
    assert_eq!(tell(&[(stream(0, 0), 900)]), None, "two have told nothing");
    assert_eq!(tell(&[(stream(1, 0), 100), (stream(2, 0), 50)]), Some(900), "its own do not count");
    assert_eq!(tell(&[(stream(0, 0), 950)]), Some(50));
    assert_eq!(tell(&[(stream(1, 0), 100), (stream(2, 0), NOT_AWAITED)]), Some(950));
    assert_eq!(tell(&[(stream(0, 0), 950)]), Some(100), "nobody waits for one that is idle");
    assert_eq!(tell(&[(stream(1, 0), NOT_AWAITED)]), Some(950));
    assert_eq!(tell(&[(stream(0, 0), 950)]), Some(NOT_AWAITED));
}

#[test]
fn a_stream_that_was_started_again_counts_from_its_own_report_on() {
    let mut alignment = Alignment::default();
    let mut tell = |told: (ExecutionId, i64), streams: [ExecutionId; 2]| {
        elsewhere(alignment.report(&report(&[told]), &BTreeSet::from(streams)))
    };
    let before = [stream(0, 0), stream(1, 0)];
    assert_eq!(tell((stream(0, 0), 500), before), None);
    assert_eq!(tell((stream(1, 0), 400), before), Some(500));
    let after = [stream(0, 0), stream(1, 1)];
    assert_eq!(tell((stream(0, 0), 700), after), None, "what the first attempt told is no bound any more");
    assert_eq!(tell((stream(1, 0), 450), after), None, "nor is what it tells late");
    assert_eq!(tell((stream(1, 1), i64::MIN), after), Some(700));
    assert_eq!(tell((stream(0, 0), 700), after), Some(i64::MIN), "it has not begun");
    assert_eq!(tell((stream(1, 1), 300), after), Some(700));
    assert_eq!(tell((stream(0, 0), 700), after), Some(300));
}

#[test]
fn streams_that_have_finished_and_groups_of_others_hold_nobody_up() {
    let mut alignment = Alignment::default();
    let both = BTreeSet::from([stream(0, 0), stream(1, 0)]);
    alignment.report(&report(&[(stream(1, 0), 10)]), &both);
    let other = GroupReport { group: "other".into(), streams: vec![(stream(7, 0), 5)] };
    assert_eq!(elsewhere(alignment.report(&other, &BTreeSet::from([stream(7, 0)]))), Some(NOT_AWAITED));
    let left = BTreeSet::from([stream(0, 0)]);
    assert_eq!(elsewhere(alignment.report(&report(&[(stream(0, 0), 99)]), &left)), Some(NOT_AWAITED));
}

const DRIFT: i64 = 100;
const END: i64 = 5_000;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A stream as it is: its attempt, how far it is, how far it has ever been, and how fast it is.
struct Stream {
    id: ExecutionId,
    worker: usize,
    watermark: i64,
    highest: i64,
    step: i64,
}

enum Message {
    Report(usize, GroupReport),
    Bound(usize, GroupBound),
}

/// Workers with streams, an application master, and a network that delays and loses.
struct World {
    random: Random,
    now: u64,
    streams: Vec<Stream>,
    /// By worker: what it was told last.
    bounds: Vec<i64>,
    alignment: Alignment,
    network: Vec<(u64, Message)>,
    faults: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let workers = 1 + random.below(4) as usize;
        let stream = |subtask: u32, random: &mut Random| Stream {
            id: stream(subtask, 0),
            worker: random.below(workers as u64) as usize,
            watermark: i64::MIN,
            highest: i64::MIN,
            step: 1 + random.below(60) as i64,
        };
        let streams = (0..2 + random.below(4) as u32).map(|subtask| stream(subtask, &mut random)).collect();
        World {
            random,
            now: 0,
            streams,
            bounds: vec![i64::MIN; workers],
            alignment: Alignment::default(),
            network: Vec::new(),
            faults: true,
        }
    }

    fn send(&mut self, message: Message) {
        if !self.faults || self.random.below(100) < 75 {
            let delay = self.random.below(if self.faults { 40 } else { 3 });
            self.network.push((self.now + delay, message));
        }
    }

    fn step(&mut self) {
        self.now += 1;
        for (_, message) in self.network.extract_if(.., |(at, _)| *at <= self.now).collect::<Vec<_>>() {
            self.deliver(message);
        }
        for index in 0..self.streams.len() {
            self.read(index);
        }
        let worker = self.random.below(self.bounds.len() as u64) as usize;
        self.tell(worker);
        if self.faults {
            self.break_something();
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Bound(worker, bound) => self.bounds[worker] = bound.elsewhere,
            Message::Report(worker, report) => {
                let open = self.streams.iter().filter(|s| s.watermark < END);
                let open = open.map(|s| s.id).collect();
                if let Some(bound) = self.alignment.report(&report, &open) {
                    self.send(Message::Bound(worker, bound));
                }
            }
        }
    }

    fn tell(&mut self, worker: usize) {
        let own = self.streams.iter().filter(|s| s.worker == worker && s.watermark < END);
        let own: Vec<_> = own.map(|s| (s.id, s.watermark)).collect();
        self.send(Message::Report(worker, report(&own)));
    }

    /// A stream reads on, if it is not too far ahead of the others of its worker, or of what that was told.
    fn read(&mut self, index: usize) {
        let Stream { worker, watermark, step, .. } = self.streams[index];
        let local = self.streams.iter().filter(|s| s.worker == worker && s.watermark < END);
        let slowest = local.map(|s| s.watermark).min().unwrap_or(i64::MAX).min(self.bounds[worker]);
        if watermark >= END || watermark.saturating_sub(slowest) > DRIFT || self.random.below(3) == 0 {
            return;
        }
        let stream = &mut self.streams[index];
        stream.watermark = if watermark == i64::MIN { 0 } else { watermark + step };
        stream.highest = stream.highest.max(stream.watermark);
        let (id, watermark) = (stream.id, stream.watermark);
        for other in self.streams.iter().filter(|s| s.id != id && s.highest < END) {
            let ahead = watermark.saturating_sub(other.highest);
            assert!(
                watermark == 0 || ahead <= DRIFT + step,
                "{id} at {watermark}, {} at {}",
                other.id,
                other.highest
            );
        }
    }

    fn break_something(&mut self) {
        match self.random.below(400) {
            // A worker dies; its streams go on elsewhere from an earlier place, in a worker that has been told nothing.
            0 => {
                let (dead, next) = (self.any_worker(), self.any_worker());
                if dead == next {
                    self.bounds[next] = i64::MIN;
                }
                self.restart(|s| s.worker == dead, next);
            }
            // One stream alone is started again where it was.
            1 => {
                let index = self.random.below(self.streams.len() as u64) as usize;
                let (id, worker) = (self.streams[index].id, self.streams[index].worker);
                self.restart(|s| s.id == id, worker);
            }
            // A new application master has heard nothing yet.
            2 => self.alignment = Alignment::default(),
            _ => {}
        }
    }

    fn any_worker(&mut self) -> usize {
        self.random.below(self.bounds.len() as u64) as usize
    }

    fn restart(&mut self, which: impl Fn(&Stream) -> bool, worker: usize) {
        let back = self.random.below(500) as i64;
        for stream in self.streams.iter_mut().filter(|s| s.watermark < END && which(s)) {
            stream.id.attempt += 1;
            stream.worker = worker;
            stream.watermark = if stream.watermark > back { stream.watermark - back } else { i64::MIN };
        }
    }

    fn done(&self) -> bool {
        self.streams.iter().all(|stream| stream.watermark >= END)
    }
}

#[test]
fn whatever_is_lost_no_stream_runs_away_and_all_come_to_their_ends() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        world.faults = false;
        let limit = world.now + 200_000;
        while !world.done() {
            world.step();
            assert!(world.now < limit, "seed {seed}: streams wait for ever");
        }
    }
}
