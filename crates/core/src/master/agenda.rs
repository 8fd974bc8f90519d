//! When which job wants to hear of the time, so that no event has to look at every job.

use crate::ids::JobId;
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_job: BTreeMap<JobId, Millis>,
    by_time: BTreeSet<(Millis, JobId)>,
}

impl Agenda {
    /// A job wants to hear of this instant, or of none.
    pub fn set(&mut self, job: JobId, at: Option<Millis>) {
        let before = match at {
            Some(at) => self.by_job.insert(job, at),
            None => self.by_job.remove(&job),
        };
        if before != at {
            before.map(|before| self.by_time.remove(&(before, job)));
            at.map(|at| self.by_time.insert((at, job)));
        }
    }

    /// The first instant of which some job wants to hear.
    pub fn first(&self) -> Option<Millis> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The jobs that wanted to hear of now, or of an earlier instant.
    pub fn due(&self, now: Millis) -> Vec<JobId> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, job)| *job).collect()
    }
}
