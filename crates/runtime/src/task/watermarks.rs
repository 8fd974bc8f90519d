//! The watermark that all channels of a task have reached.

use crate::element::Event;

#[derive(Debug, Clone, Copy)]
struct Channel {
    watermark: i64,
    idle: bool,
    ended: bool,
}

/// Combines the watermarks of all channels of a task.
#[derive(Debug)]
pub(super) struct Watermarks {
    channels: Vec<Channel>,
    emitted: i64,
    idle: bool,
}

/// Events for the operators, in order: a change of idleness, and a watermark.
pub(super) type Combined = [Option<Event>; 2];

impl Watermarks {
    pub(super) fn new(channels: usize) -> Watermarks {
        let channel = Channel { watermark: i64::MIN, idle: false, ended: false };
        Watermarks { channels: vec![channel; channels], emitted: i64::MIN, idle: false }
    }

    /// A channel said something about event time.
    pub(super) fn event(&mut self, channel: usize, event: &Event) -> Combined {
        let known = &mut self.channels[channel];
        match event {
            Event::Watermark(watermark) => {
                known.watermark = known.watermark.max(*watermark);
                known.idle = false;
            }
            Event::Idle => known.idle = true,
            Event::Active => known.idle = false,
            _ => {}
        }
        self.combined()
    }

    /// No record follows on a channel: it holds the others back no longer.
    pub(super) fn ended(&mut self, channel: usize) -> Combined {
        self.channels[channel].ended = true;
        self.combined()
    }

    /// Whether no record follows on any channel.
    pub(super) fn all_ended(&self) -> bool {
        self.channels.iter().all(|channel| channel.ended)
    }

    /// The smallest watermark of the channels that are neither idle nor ended.
    fn combined(&mut self) -> Combined {
        let mut events = [None, None];
        let live = || self.channels.iter().filter(|c| !c.ended);
        let idle = live().next().is_some() && live().all(|c| c.idle);
        let smallest = live().filter(|c| !c.idle).map(|c| c.watermark).min();
        if idle != self.idle {
            self.idle = idle;
            events[0] = Some(if idle { Event::Idle } else { Event::Active });
        }
        if let Some(watermark) = smallest.filter(|w| *w > self.emitted) {
            self.emitted = watermark;
            events[1] = Some(Event::Watermark(watermark));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_is_the_smallest_of_the_channels_that_are_not_idle() {
        let mut all = Watermarks::new(2);
        assert_eq!(all.event(0, &Event::Watermark(7)), [None, None]);
        assert_eq!(all.event(1, &Event::Watermark(3)), [None, Some(Event::Watermark(3))]);
        assert_eq!(all.event(1, &Event::Idle), [None, Some(Event::Watermark(7))]);
        assert_eq!(all.event(0, &Event::Idle), [Some(Event::Idle), None]);
        assert_eq!(all.event(1, &Event::Watermark(9)), [Some(Event::Active), Some(Event::Watermark(9))]);
    }

    #[test]
    fn a_channel_that_has_ended_holds_nothing_back() {
        let mut all = Watermarks::new(2);
        all.event(0, &Event::Watermark(7));
        assert_eq!(all.ended(1), [None, Some(Event::Watermark(7))]);
        assert!(!all.all_ended());
        all.ended(0);
        assert!(all.all_ended());
    }
}
