//! Keeps streams of one group from running ahead of each other in event time, within one process.
//!
//! Each member tells its watermark; one that is ahead of the slowest by more than its drift is held for a while after each
//! batch. It is never held for long at a time, so that barriers get through.

use crate::task::{TaskControl, lock};
use kvick_core::ids::JobId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

/// How long a member is held after a batch at most.
const HOLD: Duration = Duration::from_millis(200);
/// How often a member that is held looks at the others.
const LOOK: Duration = Duration::from_millis(5);

/// The watermarks of a group's members by their numbers.
#[derive(Default)]
struct Group {
    members: Mutex<(u64, BTreeMap<u64, i64>)>,
}

type Groups = Mutex<BTreeMap<(JobId, String), Weak<Group>>>;

fn groups() -> &'static Groups {
    static GROUPS: OnceLock<Groups> = OnceLock::new();
    GROUPS.get_or_init(Groups::default)
}

/// One stream's membership in a group; it ends when this is dropped.
pub(crate) struct Member {
    group: Arc<Group>,
    number: u64,
    max_drift: i64,
}

impl Member {
    /// Joins a group of a job.
    pub fn join(job: JobId, group: &str, max_drift: i64) -> Member {
        let mut all = lock(groups());
        all.retain(|_, group| group.strong_count() > 0);
        let key = (job, group.to_string());
        let known = all.get(&key).and_then(Weak::upgrade);
        let group = known.unwrap_or_else(|| {
            let new = Arc::new(Group::default());
            all.insert(key, Arc::downgrade(&new));
            new
        });
        let mut members = lock(&group.members);
        members.0 += 1;
        let number = members.0;
        members.1.insert(number, i64::MIN);
        drop(members);
        Member { group, number, max_drift }
    }

    /// Tells how far this member has come; nobody waits for one that says `None`: it is idle.
    pub fn tell(&self, watermark: Option<i64>) {
        let mut members = lock(&self.group.members);
        match watermark {
            Some(watermark) => members.1.insert(self.number, watermark),
            None => members.1.remove(&self.number),
        };
    }

    /// Whether this member is further ahead than it may be.
    pub fn is_ahead(&self) -> bool {
        let members = lock(&self.group.members);
        let Some(own) = members.1.get(&self.number) else { return false };
        let slowest = members.1.values().min().copied().unwrap_or(*own);
        own.saturating_sub(slowest) > self.max_drift
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
        self.tell(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_ahead_only_of_members_that_are_neither_idle_nor_gone() {
        let job = JobId(0xa11);
        let (fast, slow) = (Member::join(job, "g", 100), Member::join(job, "g", 100));
        let other_group = Member::join(job, "h", 100);
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
    }
}
