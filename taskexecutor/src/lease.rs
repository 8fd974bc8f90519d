//! How long this task executor may work without word from the application master.
//!
//! The time runs from when a heartbeat was *sent* that was answered: the application master, which counts from when it arrived,
//! never gives this task executor up before it has given up itself. So what it starts elsewhere in its place finds it gone.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// See the module.
pub struct Lease {
    term: Duration,
    since: Instant,
    /// When the questions were sent that have not been answered, oldest first; answers come in order.
    asked: VecDeque<Instant>,
}

impl Lease {
    /// A lease that begins now.
    pub fn new(now: Instant, term: Duration) -> Lease {
        Lease { term, since: now, asked: VecDeque::new() }
    }

    /// How long it lasts without an answer.
    pub fn term(&self) -> Duration {
        self.term
    }

    /// What was asked over an earlier connection will not be answered.
    pub fn reconnected(&mut self) {
        self.asked.clear();
    }

    /// A heartbeat, or a registration, is being sent.
    pub fn asked(&mut self, now: Instant) {
        self.asked.push_back(now);
    }

    /// One was answered.
    pub fn answered(&mut self) {
        if let Some(asked) = self.asked.pop_front() {
            self.since = self.since.max(asked);
        }
    }

    /// When the time is over.
    pub fn end(&self) -> Instant {
        self.since + self.term
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_time_runs_from_when_the_answered_heartbeat_was_sent() {
        let start = Instant::now();
        let mut lease = Lease::new(start, seconds(50));
        assert_eq!(lease.end(), start + seconds(50));
        lease.asked(start + seconds(40));
        lease.asked(start + seconds(45));
        assert_eq!(lease.end(), start + seconds(50), "nothing was answered yet");
        lease.answered();
        assert_eq!(lease.end(), start + seconds(90));
    }

    #[test]
    fn what_was_asked_over_a_broken_connection_is_never_answered() {
        let start = Instant::now();
        let mut lease = Lease::new(start, seconds(50));
        lease.asked(start + seconds(10));
        lease.reconnected();
        lease.answered();
        assert_eq!(lease.end(), start + seconds(50));
    }
}
