//! Watermarks for each split of a source: splits are read by turns, one that is behind must not make its records late, and
//! where watermarks are aligned, one that is ahead is not read (FLIP-217).

use super::alignment::{Member, NOT_AWAITED};
use super::foresight::Foresight;
use super::watermark::{WatermarkGenerator, WatermarkOutput};
use crate::task::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

/// What a source tells of its splits.
#[derive(Debug, Clone, Copy)]
enum Change {
    Begun(u64),
    Ended(u64),
}

/// Tells the operator behind a source which split is being read. Both are in one thread; only types need the locks.
#[derive(Debug, Clone, Default)]
pub struct SplitTurn(Arc<Turn>);

#[derive(Debug, Default)]
struct Turn {
    current: AtomicU64,
    changed: AtomicBool,
    changes: Mutex<Vec<Change>>,
    /// The stream of the source, where that is aligned with others.
    member: OnceLock<Weak<Member>>,
    /// How far splits are, where that matters to the source.
    parts: Mutex<BTreeMap<u64, Part>>,
}

/// A split, as the others of its source see it.
#[derive(Debug)]
struct Part {
    watermark: i64,
    /// What its next watermark will be.
    reached: i64,
    is_idle: bool,
    foresight: Foresight,
}

impl Part {
    fn new() -> Part {
        Part { watermark: i64::MIN, reached: i64::MIN, is_idle: false, foresight: Foresight::default() }
    }

    /// The watermark that the others may count on.
    fn awaited(&self) -> i64 {
        if self.is_idle { NOT_AWAITED } else { self.watermark }
    }
}

impl SplitTurn {
    fn change(&self, change: Change) {
        lock(&self.0.changes).push(change);
        self.0.changed.store(true, Ordering::Relaxed);
    }

    /// A split will be read from now on, by turns with others.
    pub fn begun(&self, split: u64) {
        lock(&self.0.parts).insert(split, Part::new());
        self.change(Change::Begun(split));
    }

    /// What is emitted from now on is of this split.
    pub fn reads(&self, split: u64) {
        self.0.current.store(split, Ordering::Relaxed);
    }

    /// Nothing more comes from a split.
    pub fn ended(&self, split: u64) {
        lock(&self.0.parts).remove(&split);
        self.change(Change::Ended(split));
    }

    /// Whether a split is further ahead of other streams, or of other splits, than it may be.
    #[inline]
    pub fn is_ahead(&self, split: u64) -> bool {
        self.member().is_some_and(|member| is_ahead(&member, &lock(&self.0.parts), split))
    }

    /// Whether any split is: the stream is not idle then, whatever the others have.
    pub(crate) fn is_any_ahead(&self) -> bool {
        let Some(member) = self.member() else { return false };
        let parts = lock(&self.0.parts);
        parts.keys().any(|split| is_ahead(&member, &parts, *split))
    }

    /// Records came of the split that is being read.
    pub(crate) fn reached(&self, stamps: &[i64]) {
        let current = self.0.current.load(Ordering::Relaxed);
        // One that has just ended is of no more interest.
        if let Some(part) = lock(&self.0.parts).get_mut(&current) {
            part.reached = part.foresight.after(stamps);
        }
    }

    /// The stream of the source waits for others.
    pub(crate) fn aligns(&self, member: &Arc<Member>) {
        // A task is opened once.
        let _ = self.0.member.set(Arc::downgrade(member));
    }

    fn member(&self) -> Option<Arc<Member>> {
        self.0.member.get()?.upgrade()
    }

    /// It was time to make a watermark: tells how far a split is. Says whether it has to wait.
    fn tell(&self, split: u64, watermark: i64, is_idle: bool) -> bool {
        let Some(member) = self.member() else { return false };
        let mut parts = lock(&self.0.parts);
        let Some(part) = parts.get_mut(&split) else { return false };
        let new = watermark > part.watermark;
        if new {
            part.foresight.made(watermark);
        }
        if !part.foresight.was_due(new) || new {
            part.reached = i64::MIN;
        }
        (part.watermark, part.is_idle) = (watermark, is_idle);
        is_ahead(&member, &parts, split)
    }
}

/// Whether a split is further ahead than it may be of other streams, or of the other splits.
fn is_ahead(member: &Member, parts: &BTreeMap<u64, Part>, split: u64) -> bool {
    let others = parts.iter().filter(|(other, _)| **other != split).map(|(_, part)| part.awaited());
    let others = others.min().unwrap_or(NOT_AWAITED);
    parts.get(&split).is_some_and(|part| member.is_part_ahead(part.watermark.max(part.reached), others))
}

#[derive(Debug, Clone)]
struct Split<G> {
    number: u64,
    generator: G,
    watermark: i64,
    /// Whether it had records since the last look, and when it had some.
    seen: bool,
    last_seen: Instant,
}

/// A generator for each split; their smallest watermark counts.
#[derive(Debug, Clone)]
pub struct PerSplit<G> {
    template: G,
    turn: SplitTurn,
    idleness: Option<Duration>,
    splits: Vec<Split<G>>,
    /// Where the split of the last record is.
    place: usize,
}

impl<G: Clone> PerSplit<G> {
    /// Clones of a generator for the splits that a source tells of. Splits without records for `idleness` are not waited for.
    pub fn new(template: G, turn: SplitTurn, idleness: Option<Duration>) -> Self {
        PerSplit { template, turn, idleness, splits: Vec::new(), place: 0 }
    }

    /// The place of a split; one that is not known is new.
    fn place_of(&mut self, number: u64) -> usize {
        if let Some(place) = self.splits.iter().position(|split| split.number == number) {
            return place;
        }
        let (generator, last_seen) = (self.template.clone(), Instant::now());
        self.splits.push(Split { number, generator, watermark: i64::MIN, seen: true, last_seen });
        self.splits.len() - 1
    }

    fn follow(&mut self, with_ends: bool) {
        if !self.turn.0.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let turn = self.turn.clone();
        let mut changes = lock(&turn.0.changes);
        changes.retain(|change| match *change {
            Change::Begun(number) => {
                self.place_of(number);
                false
            }
            Change::Ended(number) if with_ends => {
                self.splits.retain(|split| split.number != number);
                self.place = 0;
                false
            }
            Change::Ended(_) => true,
        });
        // Records of a split that has ended may still be on their way here.
        self.turn.0.changed.store(!changes.is_empty(), Ordering::Relaxed);
    }

    /// The smallest watermark of the splits that are not idle.
    fn combined(&self, now: Instant) -> Option<i64> {
        let idle = |split: &&Split<G>| self.idleness.is_some_and(|span| now - split.last_seen >= span);
        self.splits.iter().filter(|split| !idle(split)).map(|split| split.watermark).min()
    }

    fn emit(&self, output: &mut WatermarkOutput) {
        if let Some(watermark) = self.combined(Instant::now()).filter(|watermark| *watermark != i64::MIN) {
            output.emit_watermark(watermark);
        }
    }
}

impl<T, G: WatermarkGenerator<T>> WatermarkGenerator<T> for PerSplit<G> {
    #[inline]
    fn on_event(&mut self, event: &T, timestamp: i64, output: &mut WatermarkOutput) {
        let current = self.turn.0.current.load(Ordering::Relaxed);
        if self.splits.get(self.place).is_none_or(|split| split.number != current) {
            self.follow(false);
            self.place = self.place_of(current);
        }
        let split = &mut self.splits[self.place];
        split.seen = true;
        let mut own = WatermarkOutput::default();
        split.generator.on_event(event, timestamp, &mut own);
        if let (Some(watermark), _) = own.take()
            && watermark > split.watermark
        {
            split.watermark = watermark;
            self.emit(output);
        }
    }

    fn on_periodic_emit(&mut self, output: &mut WatermarkOutput) {
        let now = Instant::now();
        for split in &mut self.splits {
            let mut own = WatermarkOutput::default();
            split.generator.on_periodic_emit(&mut own);
            split.watermark = split.watermark.max(own.take().0.unwrap_or(i64::MIN));
            let is_idle = self.idleness.is_some_and(|span| now - split.last_seen >= span);
            // One that is not read because it is ahead is not idle.
            if self.turn.tell(split.number, split.watermark, is_idle) || std::mem::take(&mut split.seen) {
                split.last_seen = now;
            }
        }
        self.follow(true);
        self.emit(output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::BoundedOutOfOrderness;

    fn said(generator: &mut PerSplit<BoundedOutOfOrderness>) -> Option<i64> {
        let mut output = WatermarkOutput::default();
        WatermarkGenerator::<()>::on_periodic_emit(generator, &mut output);
        output.take().0
    }

    #[test]
    fn the_slowest_split_counts_from_its_beginning_to_its_end() {
        let turn = SplitTurn::default();
        let template = BoundedOutOfOrderness::new(Duration::ZERO);
        let mut generator = PerSplit::new(template, turn.clone(), None);
        let mut output = WatermarkOutput::default();
        turn.begun(1);
        turn.begun(2);
        turn.reads(1);
        generator.on_event(&(), 1000, &mut output);
        assert_eq!(said(&mut generator), None, "the second split has not been read yet");
        turn.reads(2);
        generator.on_event(&(), 50, &mut output);
        assert_eq!(said(&mut generator), Some(49));
        turn.ended(2);
        generator.on_event(&(), 70, &mut output);
        assert_eq!(said(&mut generator), Some(999), "its last records have come, and it is gone");
        turn.ended(1);
        assert_eq!(said(&mut generator), None);
    }

    #[test]
    fn a_split_without_records_is_waited_for_only_so_long() {
        let turn = SplitTurn::default();
        let template = BoundedOutOfOrderness::new(Duration::ZERO);
        let mut generator = PerSplit::new(template, turn.clone(), Some(Duration::ZERO));
        turn.begun(1);
        generator.follow(true);
        assert_eq!(generator.combined(Instant::now()), None);
        generator.idleness = Some(Duration::from_secs(3600));
        assert_eq!(generator.combined(Instant::now()), Some(i64::MIN));
    }
}
