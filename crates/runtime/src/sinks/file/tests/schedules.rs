//! Seeded schedules of everything that can go wrong for a job with file sinks: operations that fail or whose answer is lost,
//! processes that are killed and may still be alive, checkpoints that are aborted or of which not everybody hears, another
//! parallelism with each start. After every step readers must see no record twice and none that no checkpoint has; in the
//! end all of them.

use super::*;
use kvick_core::checkpoint::NamedState;
use std::collections::BTreeSet;

/// A small source of decisions: the schedule of a seed is always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A job of one source and one or more file sinks, its coordinator, and everything that may happen to them.
struct World {
    dice: Dice,
    sink: FileSink<TextEncoder, ToBucket>,
    faults: Faults,
    subtasks: Vec<Attempt>,
    /// Killed, and perhaps still alive.
    zombies: Vec<Attempt>,
    attempt: u32,
    next_record: u64,
    next_checkpoint: u64,
    /// Taken and not yet complete: states and the next record.
    pending: BTreeMap<u64, (Vec<SubtaskState>, u64)>,
    completed: Option<(Vec<SubtaskState>, u64)>,
}

impl World {
    fn new(seed: u64, directory: &Path) -> World {
        let mut dice = Dice(seed);
        let policy = match dice.roll(3) {
            0 => RollingPolicy::on_checkpoint(),
            1 => RollingPolicy::default().with_max_part_size(40),
            _ => RollingPolicy::default().with_max_part_size(200),
        };
        World {
            dice,
            sink: sink(directory, policy),
            faults: Faults::default(),
            subtasks: Vec::new(),
            zombies: Vec::new(),
            attempt: 0,
            next_record: 0,
            next_checkpoint: 1,
            pending: BTreeMap::new(),
            completed: None,
        }
    }

    /// Starts the job from its last completed checkpoint, until that succeeds.
    fn start(&mut self) {
        self.pending.clear();
        let mut last = None;
        for _ in 0..100 {
            let parallelism = 1 + self.dice.roll(3) as usize;
            match self.open(parallelism) {
                Ok(subtasks) => {
                    self.subtasks = subtasks;
                    self.next_record = self.completed.as_ref().map_or(0, |(_, next)| *next);
                    return;
                }
                Err(error) => {
                    self.attempt += 1;
                    last = Some(error);
                }
            }
        }
        panic!("the job does not start any more: {last:?}");
    }

    fn open(&mut self, parallelism: usize) -> TaskResult<Vec<Attempt>> {
        let mut all = Vec::new();
        for index in 0..parallelism {
            let state = self.completed.as_ref().map(|(states, _)| deal(states, index, parallelism));
            let opened = Attempt::open(&self.sink, &self.faults, state, self.attempt, true);
            match opened {
                Ok(one) => all.push(one),
                Err(error) => {
                    all.into_iter().for_each(Attempt::close);
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    fn crash(&mut self) {
        let killed = self.dice.roll(2) == 0;
        for subtask in std::mem::take(&mut self.subtasks) {
            if killed { self.zombies.push(subtask) } else { subtask.close() }
        }
        self.attempt += 1;
        self.start();
    }

    fn step(&mut self) {
        if self.dice.roll(8) == 0 {
            self.faults.fail_at(1 + self.dice.roll(12) as i64);
        }
        let outcome = match self.dice.roll(12) {
            0..6 => self.write(),
            6..8 => self.take_snapshot(SnapshotKind::Checkpoint),
            8 => self.take_snapshot(SAVEPOINT),
            9 | 10 => self.complete(),
            _ => {
                self.crash();
                Ok(())
            }
        };
        if outcome.is_err() {
            self.crash();
        }
        self.haunt();
    }

    /// Zombies write on until they notice.
    fn haunt(&mut self) {
        if let Some(zombie) = self.zombies.last_mut()
            && self.dice.roll(3) == 0
        {
            let _ = zombie.write([1_000_000, 1_000_001]);
            let _ = zombie.snapshot(u64::MAX - 1, SnapshotKind::Checkpoint);
        }
    }

    fn write(&mut self) -> TaskResult {
        let count = 1 + self.dice.roll(12);
        for record in self.next_record..self.next_record + count {
            let subtask = self.dice.roll(self.subtasks.len() as u64) as usize;
            self.subtasks[subtask].write([record])?;
        }
        self.next_record += count;
        Ok(())
    }

    fn take_snapshot(&mut self, kind: SnapshotKind) -> TaskResult {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let states =
            self.subtasks.iter_mut().map(|s| s.snapshot(id, kind)).collect::<TaskResult<Vec<_>>>()?;
        match (kind, self.dice.roll(6)) {
            (SnapshotKind::Checkpoint, 0) => {
                self.subtasks.iter_mut().for_each(|s| s.writer.checkpoint_aborted(id))
            }
            (SnapshotKind::Checkpoint, _) => drop(self.pending.insert(id, (states, self.next_record))),
            _ => self.subtasks.iter_mut().try_for_each(|s| s.writer.checkpoint_complete(id))?,
        }
        Ok(())
    }

    /// The oldest pending checkpoint becomes durable; not every subtask hears of it.
    fn complete(&mut self) -> TaskResult {
        let Some((id, state)) = self.pending.pop_first() else { return Ok(()) };
        self.completed = Some(state);
        for subtask in &mut self.subtasks {
            if self.dice.roll(5) > 0 {
                subtask.writer.checkpoint_complete(id)?;
            }
        }
        Ok(())
    }

    /// The input ends: a last checkpoint contains that.
    fn finish(&mut self) {
        for _ in 0..200 {
            let ended = self.subtasks.iter_mut().try_for_each(|subtask| subtask.writer.end());
            let taken = ended.and_then(|()| self.take_last());
            if taken.is_ok() {
                return;
            }
            self.crash();
        }
        panic!("the job does not end");
    }

    fn take_last(&mut self) -> TaskResult {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let mut states = Vec::new();
        for subtask in &mut self.subtasks {
            states.push(subtask.snapshot(id, SnapshotKind::Checkpoint)?);
        }
        self.completed = Some((states, self.next_record));
        self.subtasks.iter_mut().try_for_each(|subtask| subtask.writer.checkpoint_complete(id))
    }
}

/// As the coordinator deals out list state: evenly, element by element.
fn deal(states: &[SubtaskState], subtask: usize, parallelism: usize) -> SubtaskState {
    let mut own = SubtaskState::default();
    let names: BTreeSet<&String> = states.iter().flat_map(|s| &s.operator).map(|named| &named.name).collect();
    for name in names {
        let parts = states.iter().flat_map(|s| &s.operator).filter(|named| named.name == *name);
        let one = |part: &NamedState, piece| NamedState { elements: vec![piece], ..part.clone() };
        let all: Vec<NamedState> =
            parts.flat_map(|part| part.elements.iter().map(move |piece| one(part, *piece))).collect();
        let cut = |i: usize| all.len() * i / parallelism;
        own.operator.extend_from_slice(&all[cut(subtask)..cut(subtask + 1)]);
    }
    own
}

#[test]
fn whatever_fails_readers_see_every_record_exactly_once() {
    let (mut faults, mut crashes) = (0, 0);
    for seed in 0..150 {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(seed, dir.path());
        world.start();
        for _ in 0..60 {
            world.step();
            // Never too much, and never from the future of a checkpoint.
            let visible = seen(dir.path());
            let durable = world.completed.as_ref().map_or(0, |(_, next)| *next);
            assert!(visible.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: twice in {visible:?}");
            assert!(visible.iter().all(|record| *record < durable), "seed {seed}: {visible:?} of {durable}");
        }
        world.faults.fail_at(0);
        world.finish();
        let visible = seen(dir.path());
        assert!(
            visible.iter().copied().eq(0..world.next_record),
            "seed {seed}: {visible:?} of {}",
            world.next_record
        );
        faults += world.faults.happened();
        crashes += world.attempt;
    }
    assert!(faults > 150 && crashes > 500, "{faults} faults, {crashes} crashes: the schedules are too kind");
}
