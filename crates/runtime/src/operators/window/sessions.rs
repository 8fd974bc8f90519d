//! Session windows that fire at their end.
//!
//! The sessions of a key are kept together, so a record costs one look-up whether it begins a session, extends one or joins
//! several. A session's due time is not moved with each record: when an old one comes up, the session's end says when to
//! look again. Each key has at least as many due times as sessions, and in order none is later than its session: so sessions
//! fire in the order of their ends, also those of one key that records have made in another order.

use super::assigner::{Layout, WindowAssigner};
use super::contents::WindowContents;
use super::emit::{FireContext, WindowEmit};
use super::span::{TimeWindow, Window};
use super::{Late, NO_TIMESTAMP, WindowSettings, check_window_state, no_timestamp};
use crate::element::{Batch, Data, Event, Key};
use crate::error::TaskResult;
use crate::operator::{KeyedOperator, Operator, Output, earlier};
use crate::operators::{FunctionContext, after_open};
use crate::snapshot::OperatorSnapshot;
use crate::state::{Keyed, KeyedStates, StateError, Table, TableSpec};
use crate::task::TaskContext;
use crate::time::Clock;
use crate::timers::{Due, TimeDomain};
use serde::{Deserialize, Serialize};
use std::collections::BinaryHeap;
use std::time::Instant;

/// One session of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Session<V> {
    start: i64,
    end: i64,
    /// Whether it has fired since its last record.
    fired: bool,
    kept: V,
}

impl<V> Session<V> {
    fn window(&self) -> TimeWindow {
        TimeWindow::new(self.start, self.end)
    }

    /// When something is to be done about it: at its end, then when it is to be forgotten.
    fn due(&self, lateness: i64) -> i64 {
        let last = self.end - 1;
        if self.fired { last.saturating_add(lateness) } else { last }
    }
}

type Sessions<V> = Vec<Session<V>>;

struct Opened<K: Key, V> {
    states: KeyedStates<K>,
    table: Table<K, (), Sessions<V>>,
    due: BinaryHeap<Due<K, ()>>,
    clock: Clock,
    late: Late,
    watermark: i64,
}

/// What a record did to the sessions of its key.
enum Change {
    /// It came too late.
    Late,
    /// Its session is due at this time, earlier than any that is known.
    Due(i64),
    /// Its session is known to be due at or before its end.
    Known,
    /// Its session is over but still kept: it fires at once.
    Fire(usize),
}

/// The operator of session windows with the default trigger and without evictor.
pub struct SessionOperator<T, K: Key, F, A: WindowAssigner<T>, C: WindowContents<T>, M> {
    key: F,
    assigner: A,
    contents: C,
    emit: M,
    settings: WindowSettings<T>,
    opened: Option<Opened<K, C::Kept>>,
    windows: Vec<A::Window>,
}

impl<T, K, F, A, C, M> SessionOperator<T, K, F, A, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    A: WindowAssigner<T>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    /// Sessions over a stream that is keyed by `key`.
    pub fn new(key: F, assigner: A, contents: C, emit: M, settings: WindowSettings<T>) -> Self {
        SessionOperator { key, assigner, contents, emit, settings, opened: None, windows: Vec::new() }
    }

    fn domain(&self) -> TimeDomain {
        self.assigner.time_domain()
    }

    fn lateness(&self) -> i64 {
        if self.domain() == TimeDomain::EventTime { self.settings.allowed_lateness } else { 0 }
    }

    /// The session that a record alone would make. An assigner of sessions gives each record one window.
    #[inline]
    fn session_of(&mut self, record: &T, timestamp: i64) -> TimeWindow {
        self.windows.clear();
        self.assigner.assign(record, timestamp, &mut self.windows);
        let end = self.windows.first().map_or(timestamp, Window::max_timestamp).saturating_add(1);
        TimeWindow::new(timestamp, end.max(timestamp.saturating_add(1)))
    }

    #[inline]
    fn record(&mut self, record: T, timestamp: i64, out: &mut Output<M::Output>) -> TaskResult {
        let (window, lateness) = (self.session_of(&record, timestamp), self.lateness());
        let opened = after_open(&mut self.opened)?;
        let key = opened.states.keyed((self.key)(&record));
        let (contents, watermark) = (&mut self.contents, opened.watermark);
        let mut late = None;
        let change = opened.table.update(&key, &(), |slot| {
            let too_late = window.max_timestamp().saturating_add(lateness) <= watermark;
            let joins = slot.iter().flatten().any(|session| session.window().intersects(&window));
            if too_late && !joins {
                late = Some(record);
                return Change::Late;
            }
            add(slot.get_or_insert_default(), window, record, timestamp, contents, watermark)
        })?;
        match change {
            Change::Known => Ok(()),
            Change::Due(at) => {
                opened.due.push(Due { at, key, namespace: () });
                Ok(())
            }
            Change::Fire(index) => self.fire_again(key, index, out),
            Change::Late => {
                if let Some(record) = late {
                    opened.late.take(record, timestamp, &self.settings, out);
                }
                Ok(())
            }
        }
    }

    /// A record came late, but not too late, to a session that is over.
    #[cold]
    fn fire_again(&mut self, key: Keyed<K>, index: usize, out: &mut Output<M::Output>) -> TaskResult {
        let lateness = self.lateness();
        let opened = after_open(&mut self.opened)?;
        let (watermark, now) = (opened.watermark, opened.clock.now());
        let Some(session) = opened.table.get(&key, &())?.and_then(|all| all.get(index)) else {
            return Ok(());
        };
        let at = session.due(lateness);
        let mut context = FireContext { states: &mut opened.states, watermark, now };
        emit_session(&mut self.emit, &key, session, &mut context, out)?;
        opened.due.push(Due { at, key, namespace: () });
        Ok(())
    }

    /// Fires and forgets the sessions that are due at or before a watermark.
    fn advance(&mut self, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        let lateness = self.lateness();
        let opened = after_open(&mut self.opened)?;
        opened.watermark = opened.watermark.max(watermark);
        let now = opened.clock.now();
        while let Some(first) = opened.due.peek() {
            if first.at > watermark {
                break;
            }
            let Some(Due { key, at, .. }) = opened.due.pop() else { break };
            let mut context = FireContext { states: &mut opened.states, watermark, now };
            let emit = &mut self.emit;
            let next = opened.table.update(&key, &(), |slot| {
                look_after(slot, at, watermark, lateness, |session| match session {
                    Ended::Kept(session) => emit_session(emit, &key, session, &mut context, out),
                    Ended::Gone(session) => emit_last(emit, &key, session, &mut context, out),
                })
            })??;
            if let Some(at) = next {
                opened.due.push(Due { at, key, namespace: () });
            }
        }
        Ok(())
    }
}

/// Adds a record to the sessions of its key; those that it connects become one.
fn add<T, C: WindowContents<T>>(
    sessions: &mut Sessions<C::Kept>,
    window: TimeWindow,
    record: T,
    timestamp: i64,
    contents: &mut C,
    watermark: i64,
) -> Change {
    let Some(first) = sessions.iter().position(|session| session.window().intersects(&window)) else {
        let kept = contents.first(record, timestamp);
        sessions.push(Session { start: window.start, end: window.end, fired: false, kept });
        return of_session(sessions, sessions.len() - 1, watermark, true);
    };
    let mut whole = sessions[first].window().cover(&window);
    let mut fired = sessions[first].fired;
    let mut index = first + 1;
    // A session that was joined reaches further than the record did, but no two sessions of a key touch each other.
    while index < sessions.len() {
        if !sessions[index].window().intersects(&window) {
            index += 1;
            continue;
        }
        let other = sessions.remove(index);
        whole = whole.cover(&other.window());
        fired |= other.fired;
        contents.merge(&mut sessions[first].kept, other.kept);
    }
    let session = &mut sessions[first];
    contents.add(&mut session.kept, record, timestamp);
    (session.start, session.end, session.fired) = (whole.start, whole.end, false);
    of_session(sessions, first, watermark, fired)
}

/// What follows for a session that has got a record. `unknown`: no due time at or before its end is known.
fn of_session<V>(sessions: &mut Sessions<V>, index: usize, watermark: i64, unknown: bool) -> Change {
    let session = &mut sessions[index];
    if session.end - 1 <= watermark {
        session.fired = true;
        return Change::Fire(index);
    }
    if unknown { Change::Due(session.end - 1) } else { Change::Known }
}

/// A session that fires.
enum Ended<'a, V> {
    /// Records that come late may still join it.
    Kept(&'a Session<V>),
    /// It is over for good.
    Gone(Session<V>),
}

/// Fires the sessions of a key that are due at a time, and removes those that are over for good at a watermark. Tells when
/// to look again: when what has fired is to be forgotten, or, where nothing was due, when something is.
fn look_after<V>(
    slot: &mut Option<Sessions<V>>,
    at: i64,
    watermark: i64,
    lateness: i64,
    mut fire: impl FnMut(Ended<'_, V>) -> TaskResult,
) -> TaskResult<Option<i64>> {
    let Some(sessions) = slot else { return Ok(None) };
    let (mut found, mut forgotten_at) = (false, None);
    // Two sessions of a key have different ends, but one may have to be forgotten when another fires.
    while let Some(index) = sessions.iter().position(|session| session.due(lateness) <= at) {
        found = true;
        let session = &mut sessions[index];
        if (session.end - 1).saturating_add(lateness) <= watermark {
            let session = sessions.remove(index);
            if !session.fired {
                fire(Ended::Gone(session))?;
            }
            continue;
        }
        session.fired = true;
        fire(Ended::Kept(session))?;
        forgotten_at = earlier(forgotten_at, Some(session.due(lateness)));
    }
    let next = if found { forgotten_at } else { sessions.iter().map(|s| s.due(lateness)).min() };
    if sessions.is_empty() {
        *slot = None;
    }
    Ok(next)
}

fn emit_session<K: Key, W: Window, V: Data, M: WindowEmit<K, W, V>>(
    emit: &mut M,
    key: &Keyed<K>,
    session: &Session<V>,
    context: &mut FireContext<'_, K>,
    out: &mut Output<M::Output>,
) -> TaskResult {
    let Some(window) = W::spanning(session.start, session.end) else { return Ok(()) };
    out.set_timestamp(Some(window.max_timestamp()));
    emit.emit(key, &window, &session.kept, context, out)
}

fn emit_last<K: Key, W: Window, V: Data, M: WindowEmit<K, W, V>>(
    emit: &mut M,
    key: &Keyed<K>,
    session: Session<V>,
    context: &mut FireContext<'_, K>,
    out: &mut Output<M::Output>,
) -> TaskResult {
    let Some(window) = W::spanning(session.start, session.end) else { return Ok(()) };
    out.set_timestamp(Some(window.max_timestamp()));
    emit.emit_last(key, &window, session.kept, context, out)
}

impl<K: Key, V: Data> Opened<K, V> {
    /// Finds out when the sessions that were restored are due.
    fn restore(&mut self, lateness: i64) -> Result<(), StateError> {
        let (states, due) = (&self.states, &mut self.due);
        self.table.for_each(|key, (), sessions| {
            for session in sessions {
                due.push(Due { at: session.due(lateness), key: states.keyed(key.clone()), namespace: () });
            }
        })
    }
}

impl<T, K, F, A, C, M> Operator for SessionOperator<T, K, F, A, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    A: WindowAssigner<T>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    type In = T;
    type Out = M::Output;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut states = KeyedStates::new(context.keyed_backend::<K>()?);
        let table = states.backend().table(TableSpec::new("window-contents"))?;
        self.emit.open(&mut FunctionContext::new(&mut states, context))?;
        check_window_state(&states, M::WINDOW_STATE, Layout::Sessions)?;
        let (due, clock) = (BinaryHeap::new(), context.clock.clone());
        let late = Late::open(context);
        let mut opened = Opened { states, table, due, clock, late, watermark: i64::MIN };
        opened.restore(self.lateness())?;
        self.opened = Some(opened);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<M::Output>) -> TaskResult {
        if self.domain() == TimeDomain::ProcessingTime {
            let now = self.opened.as_ref().map_or(0, |opened| opened.clock.now());
            batch.timestamps = None;
            return batch.records.drain(..).try_for_each(|record| self.record(record, now, out));
        }
        let Some(stamps) = batch.timestamps.take() else {
            return if batch.records.is_empty() { Ok(()) } else { Err(no_timestamp()) };
        };
        for (record, at) in batch.records.drain(..).zip(stamps) {
            if at == NO_TIMESTAMP {
                return Err(no_timestamp());
            }
            self.record(record, at, out)?;
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        if self.domain() == TimeDomain::EventTime {
            self.advance(watermark, out)?;
        }
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, _now: Instant, out: &mut Output<M::Output>) -> TaskResult<Option<Instant>> {
        if self.domain() == TimeDomain::EventTime {
            return Ok(None);
        }
        let now = self.opened.as_ref().map_or(0, |opened| opened.clock.now());
        self.advance(now - 1, out)?;
        let next = |opened: &Opened<K, C::Kept>| {
            opened.due.peek().map(|due| opened.clock.instant(due.at.saturating_add(1)))
        };
        Ok(self.opened.as_ref().and_then(next))
    }

    fn end(&mut self, out: &mut Output<M::Output>) -> TaskResult {
        if self.settings.batch && self.domain() == TimeDomain::ProcessingTime {
            self.advance(i64::MAX, out)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        snapshot.table(&mut opened.table)?;
        opened.states.snapshot(snapshot)?;
        Ok(())
    }

    fn close(&mut self) {
        self.emit.close();
    }
}

impl<T, K, F, A, C, M> KeyedOperator for SessionOperator<T, K, F, A, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    A: WindowAssigner<T>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    fn end_key(&mut self, out: &mut Output<M::Output>) -> TaskResult {
        self.advance(i64::MAX, out)?;
        let opened = after_open(&mut self.opened)?;
        opened.watermark = i64::MIN;
        Ok(opened.states.clear()?)
    }
}
