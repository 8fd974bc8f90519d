//! A source that gives some records and then waits until something has happened downstream, instead of for a time.

use kvick::prelude::*;
use kvick::{Poll, SplitReader, SplitSource, TaskResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nobody waits for longer: what is awaited did not happen, which the test then says.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the source waits for.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Emits some records at once, and the others when the gate is open.
    pub fn source<T: kvick::Data>(
        &self,
        env: &StreamExecutionEnvironment,
        at_once: Vec<T>,
        later: Vec<T>,
    ) -> DataStream<T> {
        env.from_split_source("gated", true, Gated { records: (at_once, later), gate: self.clone() })
    }
}

#[derive(Clone)]
struct Gated<T> {
    records: (Vec<T>, Vec<T>),
    gate: Gate,
}

impl<T: kvick::Data> SplitSource for Gated<T> {
    type Out = T;
    type Split = ();
    type Position = bool;
    type Reader = Reader<T>;

    fn id(&self, (): &()) -> String {
        "all".to_string()
    }

    fn splits(&mut self) -> TaskResult<Vec<()>> {
        Ok(vec![()])
    }

    fn reader(&mut self, (): &(), begun: Option<bool>) -> TaskResult<Reader<T>> {
        Ok(Reader { gated: self.clone(), begun: begun.unwrap_or(false), until: Instant::now() + PATIENCE })
    }
}

struct Reader<T> {
    gated: Gated<T>,
    begun: bool,
    until: Instant,
}

impl<T: kvick::Data> SplitReader for Reader<T> {
    type Out = T;
    type Position = bool;

    fn read(&mut self, out: &mut Collector<T>) -> TaskResult<Poll> {
        let (at_once, later) = &mut self.gated.records;
        if !std::mem::replace(&mut self.begun, true) {
            at_once.drain(..).for_each(|record| out.push(record));
            return Ok(Poll::More);
        }
        if !self.gated.gate.0.load(Ordering::SeqCst) && Instant::now() < self.until {
            return Ok(Poll::Wait(Duration::from_millis(1)));
        }
        later.drain(..).for_each(|record| out.push(record));
        Ok(Poll::End)
    }

    fn position(&self) -> Option<bool> {
        Some(self.begun)
    }
}
