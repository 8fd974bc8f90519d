//! What the channels of a gate say together: the watermark that all have reached, and the barrier that all have passed.

use crate::element::{Barrier, Event};
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
struct Channel {
    watermark: i64,
    idle: bool,
    ended: bool,
    barrier: Option<u64>,
}

/// Combines the events of all channels of a task.
#[derive(Debug)]
pub(super) struct Alignment {
    channels: Vec<Channel>,
    emitted: i64,
    idle: bool,
    /// The barrier that is being aligned.
    pending: Option<Arc<Barrier>>,
}

/// What follows from an event of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// Events for the operators, in order.
    pub events: [Option<Event>; 2],
    /// The channel must wait until the alignment is over.
    pub block: bool,
    /// The alignment is over: all channels go on.
    pub unblock: bool,
    /// All channels have ended.
    pub ended: bool,
}

impl Alignment {
    pub(super) fn new(channels: usize) -> Alignment {
        let channel = Channel { watermark: i64::MIN, idle: false, ended: false, barrier: None };
        Alignment { channels: vec![channel; channels], emitted: i64::MIN, idle: false, pending: None }
    }

    pub(super) fn event(&mut self, channel: usize, event: Event) -> Outcome {
        match event {
            Event::Watermark(watermark) => {
                let known = &mut self.channels[channel];
                known.watermark = known.watermark.max(watermark);
                known.idle = false;
                self.combined()
            }
            Event::Idle => {
                self.channels[channel].idle = true;
                self.combined()
            }
            Event::Active => {
                self.channels[channel].idle = false;
                self.combined()
            }
            Event::Barrier(barrier) => self.barrier(channel, barrier),
        }
    }

    pub(super) fn end(&mut self, channel: usize) -> Outcome {
        self.channels[channel].ended = true;
        let mut outcome = self.combined();
        if let Some(done) = self.aligned() {
            outcome.unblock = true;
            let free = usize::from(outcome.events[0].is_some());
            outcome.events[free] = Some(Event::Barrier(done));
        }
        outcome.ended = self.channels.iter().all(|c| c.ended);
        outcome
    }

    fn barrier(&mut self, channel: usize, barrier: Arc<Barrier>) -> Outcome {
        let mut outcome = Outcome::default();
        match &self.pending {
            // Late: its checkpoint was given up for a newer one.
            Some(pending) if barrier.id < pending.id => return outcome,
            Some(pending) if barrier.id == pending.id => {}
            // A newer one: the older is given up, and its channels go on.
            Some(_) => outcome.unblock = true,
            None => {}
        }
        self.channels[channel].barrier = Some(barrier.id);
        self.pending = Some(barrier);
        match self.aligned() {
            Some(done) => {
                outcome.unblock = true;
                outcome.events[0] = Some(Event::Barrier(done));
            }
            None => outcome.block = true,
        }
        outcome
    }

    fn aligned(&mut self) -> Option<Arc<Barrier>> {
        let pending = self.pending.as_ref()?;
        let complete = self.channels.iter().all(|c| c.ended || c.barrier == Some(pending.id));
        if complete { self.pending.take() } else { None }
    }

    /// The smallest watermark of the channels that are neither idle nor ended.
    fn combined(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let live = || self.channels.iter().filter(|c| !c.ended);
        let idle = live().next().is_some() && live().all(|c| c.idle);
        let smallest = live().filter(|c| !c.idle).map(|c| c.watermark).min();
        if idle != self.idle {
            self.idle = idle;
            outcome.events[0] = Some(if idle { Event::Idle } else { Event::Active });
        }
        if let Some(watermark) = smallest.filter(|w| *w > self.emitted) {
            self.emitted = watermark;
            let free = usize::from(outcome.events[0].is_some());
            outcome.events[free] = Some(Event::Watermark(watermark));
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::checkpoint::{BarrierAlignment, SnapshotKind, SnapshotTarget};
    use kvick_core::time::Millis;

    fn barrier(id: u64) -> Arc<Barrier> {
        Arc::new(Barrier {
            id,
            timestamp: Millis(0),
            kind: SnapshotKind::Checkpoint,
            base: None,
            alignment: BarrierAlignment::Aligned,
            target: SnapshotTarget::Inline { max_bytes: 0 },
        })
    }

    #[test]
    fn the_watermark_is_the_smallest_of_the_channels_that_are_not_idle() {
        let mut alignment = Alignment::new(2);
        assert_eq!(alignment.event(0, Event::Watermark(7)).events, [None, None]);
        assert_eq!(alignment.event(1, Event::Watermark(3)).events[0], Some(Event::Watermark(3)));
        assert_eq!(alignment.event(1, Event::Idle).events[0], Some(Event::Watermark(7)));
        assert_eq!(alignment.event(0, Event::Idle).events[0], Some(Event::Idle));
        assert_eq!(
            alignment.event(1, Event::Watermark(9)).events,
            [Some(Event::Active), Some(Event::Watermark(9))]
        );
    }

    #[test]
    fn a_barrier_is_passed_on_once_every_channel_that_has_not_ended_has_seen_it() {
        let mut alignment = Alignment::new(3);
        assert!(alignment.event(0, Event::Barrier(barrier(1))).block);
        assert!(alignment.event(1, Event::Barrier(barrier(1))).block);
        let outcome = alignment.end(2);
        assert!(outcome.unblock && !outcome.ended);
        assert_eq!(outcome.events[0], Some(Event::Barrier(barrier(1))));
    }

    #[test]
    fn a_newer_barrier_gives_up_the_older_one() {
        let mut alignment = Alignment::new(2);
        assert!(alignment.event(0, Event::Barrier(barrier(1))).block);
        let newer = alignment.event(1, Event::Barrier(barrier(2)));
        assert!(newer.block && newer.unblock);
        assert_eq!(
            alignment.event(0, Event::Barrier(barrier(2))).events[0],
            Some(Event::Barrier(barrier(2)))
        );
        assert_eq!(alignment.event(1, Event::Barrier(barrier(1))).events, [None, None]);
    }
}
