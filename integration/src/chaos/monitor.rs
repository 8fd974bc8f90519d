//! Watches the job all the time, so that whoever injects a fault can say afterwards from when to when it was felt.

use super::target::{Target, View};
use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(40);

/// Milliseconds since 1970, as the job's lines and REST tell time.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64)
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    /// The last look that was answered.
    last: View,
    /// When it was answered.
    at: u64,
    /// The last moment at which a subtask did not run, or nobody answered.
    disturbed: u64,
    /// Milliseconds from the submission until all subtasks ran for the first time.
    start: Option<u64>,
    /// Restarts, whichever master counted them.
    restarts: u64,
    /// What the present master counted.
    counted: u64,
}

/// The watch over one job.
pub struct Monitor {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How a fault was felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Felt {
    /// Milliseconds from the fault until all subtasks ran again and a master said so.
    pub recovery: u64,
    /// How many restarts it cost.
    pub restarts: u64,
    /// From when to when, in milliseconds since 1970.
    pub span: (u64, u64),
}

impl Monitor {
    /// Begins to watch.
    pub fn begin(target: &Target) -> Monitor {
        let (seen, over) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let (target, shared, ended) = (target.clone(), seen.clone(), over.clone());
        let thread = spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let began = now();
                let view = target.view();
                locked(&shared).take(began, view);
                sleep(PAUSE);
            }
        });
        Monitor { seen, over, thread: Some(thread) }
    }

    /// The last answer.
    pub fn last(&self) -> View {
        locked(&self.seen).last.clone()
    }

    /// Milliseconds from the submission until all subtasks were seen to run for the first time; 0 before.
    pub fn start(&self) -> u64 {
        locked(&self.seen).start.unwrap_or_default()
    }

    /// Restarts so far.
    pub fn restarts(&self) -> u64 {
        locked(&self.seen).restarts
    }

    /// Waits until the job has taken a checkpoint that began after `since` and all its subtasks run.
    ///
    /// # Errors
    /// If the job ends, or does neither within `limit`.
    pub fn await_health(&self, since: u64, limit: Duration) -> Result<()> {
        self.await_that(limit, |view, at| at > since && view.all_run && view.checkpointed > since)
    }

    /// Waits until all subtasks of the job are seen to run at a moment after `since`.
    ///
    /// # Errors
    /// If the job ends, or they do not within `limit`.
    pub fn await_running(&self, since: u64, limit: Duration) -> Result<()> {
        self.await_that(limit, |view, at| at > since && view.all_run)
    }

    fn await_that(&self, limit: Duration, holds: impl Fn(&View, u64) -> bool) -> Result<()> {
        let until = now() + limit.as_millis() as u64;
        loop {
            let (view, at) = {
                let seen = locked(&self.seen);
                (seen.last.clone(), seen.at)
            };
            if view.is_over() {
                bail!("the job is {}", view.state);
            }
            if holds(&view, at) {
                return Ok(());
            }
            if now() > until {
                bail!("after {limit:?} it is not well again; last heard {} ms ago: {view:?}", now() - at);
            }
            sleep(PAUSE / 2);
        }
    }

    /// How a fault was felt that was injected at `at`, when there were `restarts`; asked once the job is well again.
    pub fn felt(&self, at: u64, restarts: u64) -> Felt {
        let seen = locked(&self.seen);
        Felt {
            recovery: seen.disturbed.saturating_sub(at),
            restarts: seen.restarts - restarts,
            span: (at, seen.at),
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn take(&mut self, began: u64, view: Option<View>) {
        let Some(view) = view else {
            self.disturbed = now();
            return;
        };
        if !view.all_run {
            self.disturbed = now();
        } else if self.start.is_none() {
            self.start = Some(now().saturating_sub(view.submitted));
        }
        // Another master begins to count anew.
        let more = if view.restarts >= self.counted { view.restarts - self.counted } else { view.restarts };
        self.restarts += more;
        self.counted = view.restarts;
        (self.last, self.at) = (view, began);
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
