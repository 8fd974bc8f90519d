//! Keeps streams of one group from running ahead of each other in event time.
//!
//! Each member tells its watermark. One that is ahead of the slowest by more than its drift waits: a source reads nothing
//! meanwhile, an operator in the middle of a stream holds each batch for a while, so that barriers get through. What the slowest
//! one in other processes is, whoever hosts this process tells ([`AlignmentGroups::bound`]); with no host there are none.

use crate::task::{TaskControl, lock};
pub(crate) use kvick_core::alignment::NOT_AWAITED;
use kvick_core::alignment::{GroupBound, GroupReport};
use kvick_core::ids::ExecutionId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a batch is held at most in the middle of a stream.
const HOLD: Duration = Duration::from_millis(200);
/// How often a member that waits looks at the others.
pub(crate) const LOOK: Duration = Duration::from_millis(5);
/// How often the host is told of a group of which it has not said anything yet, at least.
const FIRST_REPORTS: Duration = Duration::from_millis(200);

/// How streams of a group wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatermarkAlignment {
    pub group: String,
    /// How far one may be ahead of the slowest, in milliseconds.
    pub max_drift: i64,
    /// How often the watermarks of other processes are asked for.
    pub update_interval: Duration,
}

/// A stream, as others of its group see it.
#[derive(Debug)]
struct Place {
    execution: ExecutionId,
    watermark: i64,
    /// How far it is by its last records, whose watermark has not been made yet.
    reached: i64,
    update_interval: Duration,
}

#[derive(Debug)]
struct Members {
    last: u64,
    places: BTreeMap<u64, Place>,
    /// The smallest watermark of the members in other processes.
    elsewhere: i64,
}

impl Members {
    /// The smallest watermark of all but one of them.
    fn slowest_but(&self, number: u64) -> i64 {
        let places = self.places.iter().filter(|(other, _)| **other != number);
        places.map(|(_, place)| place.watermark).min().unwrap_or(NOT_AWAITED).min(self.elsewhere)
    }
}

#[derive(Debug)]
struct Group(Mutex<Members>);

/// The groups of a job, as far as they are in this process.
#[derive(Debug, Default)]
pub struct AlignmentGroups {
    groups: Mutex<BTreeMap<String, Arc<Group>>>,
    /// Whether there may be members in other processes, of which the host tells.
    hosted: bool,
}

impl AlignmentGroups {
    /// Groups with members in other processes: until the host has told of them, they count as not having begun.
    pub fn hosted() -> AlignmentGroups {
        AlignmentGroups { hosted: true, ..AlignmentGroups::default() }
    }

    /// A stream of a task takes part in a group from now on.
    pub(crate) fn join(&self, execution: ExecutionId, alignment: &WatermarkAlignment) -> Member {
        let elsewhere = if self.hosted { i64::MIN } else { NOT_AWAITED };
        let new = || Arc::new(Group(Mutex::new(Members { last: 0, places: BTreeMap::new(), elsewhere })));
        let group = Arc::clone(lock(&self.groups).entry(alignment.group.clone()).or_insert_with(new));
        let mut members = lock(&group.0);
        members.last += 1;
        let (number, update_interval) = (members.last, alignment.update_interval);
        members
            .places
            .insert(number, Place { execution, watermark: i64::MIN, reached: i64::MIN, update_interval });
        drop(members);
        Member { group, number, max_drift: alignment.max_drift }
    }

    /// How far the members in this process are, by group; groups without any are left out.
    pub fn report(&self) -> Vec<GroupReport> {
        let groups = lock(&self.groups);
        let report = |(name, group): (&String, &Arc<Group>)| {
            let places = lock(&group.0);
            let streams = places.places.values().map(|place| (place.execution, place.watermark));
            GroupReport { group: name.clone(), streams: slowest_of_each(streams) }
        };
        groups.iter().map(report).filter(|report| !report.streams.is_empty()).collect()
    }

    /// The host tells how far the members in other processes are.
    pub fn bound(&self, bounds: &[GroupBound]) {
        let groups = lock(&self.groups);
        for bound in bounds {
            if let Some(group) = groups.get(&bound.group) {
                lock(&group.0).elsewhere = bound.elsewhere;
            }
        }
    }

    /// How long to wait between two reports; `None` where there is nothing to report.
    pub fn report_interval(&self) -> Option<Duration> {
        let interval = |group: &Arc<Group>| {
            let members = lock(&group.0);
            let shortest = members.places.values().map(|place| place.update_interval).min();
            shortest.map(|span| if members.elsewhere == i64::MIN { span.min(FIRST_REPORTS) } else { span })
        };
        lock(&self.groups).values().filter_map(interval).min()
    }
}

/// A task with several streams in one group is as far as the slowest of them.
fn slowest_of_each(streams: impl Iterator<Item = (ExecutionId, i64)>) -> Vec<(ExecutionId, i64)> {
    let mut slowest: BTreeMap<ExecutionId, i64> = BTreeMap::new();
    for (execution, watermark) in streams {
        slowest.entry(execution).and_modify(|w| *w = watermark.min(*w)).or_insert(watermark);
    }
    slowest.into_iter().collect()
}

/// One stream's membership in a group; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    group: Arc<Group>,
    number: u64,
    max_drift: i64,
}

impl Member {
    /// Tells how far this member has come; nobody waits for one that says `None`: it is idle.
    pub fn tell(&self, watermark: Option<i64>) {
        if let Some(place) = lock(&self.group.0).places.get_mut(&self.number) {
            place.watermark = watermark.unwrap_or(NOT_AWAITED);
            place.reached = i64::MIN;
        }
    }

    /// Tells what the next watermark will be by what was read so far: others do not count on it, but this member does not wait
    /// for it to be made before it stops reading.
    pub fn reach(&self, watermark: i64) {
        if let Some(place) = lock(&self.group.0).places.get_mut(&self.number) {
            place.reached = watermark;
        }
    }

    /// Whether this member is further ahead than it may be.
    pub fn is_ahead(&self) -> bool {
        let members = lock(&self.group.0);
        let Some(own) = members.places.get(&self.number) else { return false };
        let others = members.slowest_but(self.number);
        own.watermark != NOT_AWAITED && self.exceeds(own.watermark.max(own.reached), others)
    }

    /// Whether a part of this member, which has come so far, is further ahead than it may be of other members, or of the slowest
    /// of its other parts.
    pub fn is_part_ahead(&self, watermark: i64, other_parts: i64) -> bool {
        let others = lock(&self.group.0).slowest_but(self.number);
        self.exceeds(watermark, others.min(other_parts))
    }

    fn exceeds(&self, watermark: i64, slowest: i64) -> bool {
        let limit = if slowest == i64::MIN { slowest } else { slowest.saturating_add(self.max_drift) };
        watermark > limit
    }

    /// Waits while this member is ahead: for a bounded time, and not when the task is told something.
    pub fn hold(&self, control: &TaskControl) {
        let since = Instant::now();
        while self.is_ahead() && since.elapsed() < HOLD && !control.is_canceled() && !control.has_mail() {
            control.sleep(LOOK);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        lock(&self.group.0).places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::ids::VertexId;

    fn join(groups: &AlignmentGroups, group: &str, subtask: u32) -> Member {
        let update_interval = Duration::from_secs(1);
        let alignment = WatermarkAlignment { group: group.to_string(), max_drift: 100, update_interval };
        groups.join(ExecutionId { vertex: VertexId(1), subtask, attempt: 0 }, &alignment)
    }

    #[test]
    fn a_member_is_ahead_only_of_members_that_are_neither_idle_nor_gone() {
        let groups = AlignmentGroups::default();
        let (fast, slow) = (join(&groups, "g", 0), join(&groups, "g", 1));
        let other_group = join(&groups, "h", 2);
        other_group.tell(Some(0));
        fast.tell(Some(1000));
        assert!(fast.is_ahead(), "the other one has not begun");
        slow.tell(Some(899));
        assert!(fast.is_ahead() && !slow.is_ahead());
        slow.tell(Some(900));
        assert!(!fast.is_ahead());
        slow.tell(Some(0));
        slow.tell(None);
        assert!(!fast.is_ahead());
        slow.tell(Some(0));
        assert!(fast.is_ahead());
        drop(slow);
        assert!(!fast.is_ahead());
        fast.tell(Some(i64::MAX));
        assert!(!fast.is_ahead(), "what is at its end waits for nobody");
    }

    #[test]
    fn what_was_read_since_the_last_watermark_holds_only_who_read_it_and_only_against_others() {
        let groups = AlignmentGroups::default();
        let (fast, slow) = (join(&groups, "g", 0), join(&groups, "g", 1));
        fast.tell(Some(200));
        slow.tell(Some(100));
        fast.reach(201);
        slow.reach(300);
        assert!(fast.is_ahead() && !slow.is_ahead(), "the slowest does not wait for itself");
        slow.reach(301);
        assert!(slow.is_ahead());
        slow.tell(Some(101));
        assert!(!fast.is_ahead() && !slow.is_ahead());
    }

    #[test]
    fn a_member_waits_for_those_elsewhere_as_the_host_tells() {
        let groups = AlignmentGroups::hosted();
        assert_eq!(groups.report_interval(), None);
        let (one, two) = (join(&groups, "g", 0), join(&groups, "g", 1));
        one.tell(Some(500));
        two.tell(Some(450));
        assert_eq!(groups.report_interval(), Some(FIRST_REPORTS));
        assert!(one.is_ahead() && two.is_ahead(), "nothing is known of the others yet");
        let tell = |elsewhere| groups.bound(&[GroupBound { group: "g".into(), elsewhere }]);
        tell(380);
        assert!(one.is_ahead() && !two.is_ahead());
        assert_eq!(groups.report_interval(), Some(Duration::from_secs(1)));
        tell(NOT_AWAITED);
        assert!(!one.is_ahead(), "only those here are left");
        let streams = groups.report().remove(0).streams;
        assert_eq!(streams.iter().map(|(_, watermark)| *watermark).collect::<Vec<_>>(), [500, 450]);
        drop((one, two));
        assert_eq!((groups.report(), groups.report_interval()), (Vec::new(), None));
    }
}
