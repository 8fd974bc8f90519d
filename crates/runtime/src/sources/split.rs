//! Sources whose input is cut into splits: the interface, and what all of them have in common.
//!
//! A split is a part of the input that can be read by itself: a range of a file, a partition of a log, a range of numbers.
//! [`Splits`] makes a [`Source`] of a [`SplitSource`]: it deals the splits out, reads them, and keeps the unfinished ones
//! with their positions as state, one element for each. So after a failure every split goes on where the checkpoint left
//! it, and at another parallelism the unfinished splits are dealt out again. Knows no file and no format.

use super::collection::share;
use crate::element::Data;
use crate::error::TaskResult;
use crate::hash::stable_hash;
use crate::operator::Output;
use crate::snapshot::OperatorSnapshot;
use crate::task::{Poll, Source, TaskContext};
use crate::time::SplitTurn;
use crate::time::alignment::LOOK;
use kvick_core::checkpoint::Redistribution;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Unfinished splits with their positions.
const SPLITS: &str = "splits";
/// One element: this source has looked for its splits before. Everybody gets it.
const BEGUN: &str = "splits-begun";
/// Ids of the splits that were ever found, for sources that go on looking.
const SEEN: &str = "splits-seen";

/// A source whose input is cut into splits. Each subtask has a clone of its own.
///
/// ```
/// use kvick_runtime::error::TaskResult;
/// use kvick_runtime::operator::Output;
/// use kvick_runtime::sources::{SplitReader, SplitSource};
/// use kvick_runtime::task::Poll;
///
/// /// The first numbers of several tables: `(7, 3)` is 7, 14, 21.
/// #[derive(Clone)]
/// struct Tables(Vec<(u64, u64)>);
/// struct Table { factor: u64, next: u64, end: u64 }
///
/// impl SplitSource for Tables {
///     type Out = u64;
///     type Split = (u64, u64);
///     type Position = u64;
///     type Reader = Table;
///
///     fn id(&self, split: &(u64, u64)) -> String {
///         format!("table of {}", split.0)
///     }
///     fn splits(&mut self) -> TaskResult<Vec<(u64, u64)>> {
///         Ok(self.0.clone())
///     }
///     fn reader(&mut self, split: &(u64, u64), position: Option<u64>) -> TaskResult<Table> {
///         Ok(Table { factor: split.0, next: position.unwrap_or(1), end: split.1 })
///     }
/// }
///
/// impl SplitReader for Table {
///     type Out = u64;
///     type Position = u64;
///
///     fn read(&mut self, out: &mut Output<u64>) -> TaskResult<Poll> {
///         if self.next > self.end {
///             return Ok(Poll::End);
///         }
///         out.push(self.next * self.factor);
///         self.next += 1;
///         Ok(Poll::More)
///     }
///     fn position(&self) -> Option<u64> {
///         Some(self.next)
///     }
/// }
/// ```
pub trait SplitSource: Send + 'static {
    /// The records it emits.
    type Out: Send + 'static;
    /// A part of the input; with it alone a reader can be made, in any process.
    type Split: Data;
    /// Where in a split reading goes on.
    type Position: Data;
    /// Reads one split.
    type Reader: SplitReader<Out = Self::Out, Position = Self::Position>;

    /// Called once, before anything else.
    ///
    /// # Errors
    /// Whatever keeps the source from starting.
    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    /// A name that no other split has, and that this one always has.
    fn id(&self, split: &Self::Split) -> String;

    /// All splits that there are now. Every subtask asks for itself and takes its share, so all must get the same splits in
    /// the same order. A job that starts with the state of a checkpoint does not ask, unless the source goes on looking.
    ///
    /// # Errors
    /// Whatever keeps the input from being found.
    fn splits(&mut self) -> TaskResult<Vec<Self::Split>>;

    /// How often to look for new splits; `None`: once, at the beginning. A source that goes on looking never ends.
    fn discovery_interval(&self) -> Option<Duration> {
        None
    }

    /// How many splits of a subtask are read by turns; the others wait until one of them has ended.
    fn at_once(&self) -> usize {
        1
    }

    /// A reader of a split, from where an earlier one was, or from its beginning.
    ///
    /// # Errors
    /// Whatever keeps the split from being opened.
    fn reader(&mut self, split: &Self::Split, position: Option<Self::Position>) -> TaskResult<Self::Reader>;

    /// A checkpoint is durable: what was read before it need not be given again.
    ///
    /// # Errors
    /// Whatever acknowledging fails with.
    fn checkpoint_complete(&mut self, _checkpoint: u64) -> TaskResult {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// Reads one split.
pub trait SplitReader: Send {
    /// The records it emits.
    type Out;
    /// Where in the split it is.
    type Position;

    /// Emits a bounded number of records, and says whether there are more. It must not wait longer than about 100 ms.
    ///
    /// # Errors
    /// Whatever reading fails with.
    fn read(&mut self, out: &mut Output<Self::Out>) -> TaskResult<Poll>;

    /// Where the next record begins: a reader that starts there emits what this one has not yet emitted, and nothing else.
    /// `None`: nothing was read yet.
    fn position(&self) -> Option<Self::Position>;
}

struct Active<S: SplitSource> {
    split: S::Split,
    reader: S::Reader,
    /// When it has something again.
    rests_until: Option<Instant>,
    /// What watermarks know it by.
    number: u64,
}

/// The [`Source`] of a [`SplitSource`].
pub struct Splits<S: SplitSource> {
    source: S,
    waiting: VecDeque<(S::Split, Option<S::Position>)>,
    active: VecDeque<Active<S>>,
    seen: BTreeSet<String>,
    next_discovery: Option<Instant>,
    subtask: u32,
    parallelism: u32,
    begun: u64,
    /// Who wants to know which split is being read.
    turn: Option<SplitTurn>,
}

impl<S: SplitSource> Splits<S> {
    /// Reads the splits of a source.
    pub fn of(source: S) -> Splits<S> {
        Splits {
            source,
            waiting: VecDeque::new(),
            active: VecDeque::new(),
            seen: BTreeSet::new(),
            next_discovery: None,
            subtask: 0,
            parallelism: 1,
            begun: 0,
            turn: None,
        }
    }

    /// Tells which split is being read: for watermarks by split.
    #[must_use]
    pub fn telling(mut self, turn: SplitTurn) -> Splits<S> {
        self.turn = Some(turn);
        self
    }

    fn restore(&mut self, context: &TaskContext) -> TaskResult {
        self.waiting = context.restored_list::<(S::Split, Option<S::Position>)>(SPLITS)?.into();
        let seen = context.restored_list::<String>(SEEN)?;
        self.seen = seen.into_iter().filter(|id| self.owns(id)).collect();
        Ok(())
    }

    /// Takes this subtask's share of all splits.
    fn begin(&mut self) -> TaskResult {
        let mut all = self.source.splits()?;
        let own = share(all.len(), self.subtask, self.parallelism);
        self.waiting = all.drain(own).map(|split| (split, None)).collect();
        Ok(())
    }

    /// Splits that are found over time belong to subtasks by their ids, so that nobody need ask anybody.
    fn owns(&self, id: &str) -> bool {
        stable_hash(id) % u64::from(self.parallelism) == u64::from(self.subtask)
    }

    fn discover(&mut self) -> TaskResult {
        let Some(interval) = self.source.discovery_interval() else { return Ok(()) };
        let now = Instant::now();
        if self.next_discovery.is_some_and(|next| next > now) {
            return Ok(());
        }
        for split in self.source.splits()? {
            let id = self.source.id(&split);
            if self.owns(&id) && self.seen.insert(id) {
                self.waiting.push_back((split, None));
            }
        }
        self.next_discovery = Some(now + interval);
        Ok(())
    }

    fn activate(&mut self) -> TaskResult {
        while self.active.len() < self.source.at_once().max(1) {
            let Some((split, position)) = self.waiting.pop_front() else { break };
            let reader = self.source.reader(&split, position)?;
            self.begun += 1;
            self.turn.iter().for_each(|turn| turn.begun(self.begun));
            self.active.push_back(Active { split, reader, rests_until: None, number: self.begun });
        }
        Ok(())
    }

    /// The next reader in turn that has something, or how long none has.
    fn turn(&mut self) -> Result<Active<S>, Option<Instant>> {
        let now = Instant::now();
        let is_ahead = |one: &Active<S>| self.turn.as_ref().is_some_and(|turn| turn.is_ahead(one.number));
        let rests_until = |one: &Active<S>| match is_ahead(one) {
            true => Some(now + LOOK),
            false => one.rests_until.filter(|until| *until > now),
        };
        match self.active.iter().position(|one| rests_until(one).is_none()) {
            Some(ready) => self.active.remove(ready).ok_or(None),
            None => Err(self.active.iter().filter_map(rests_until).min()),
        }
    }

    fn rest(&self, until: Option<Instant>) -> Poll {
        match crate::operator::earlier(until, self.next_discovery) {
            Some(then) => Poll::Wait(then.saturating_duration_since(Instant::now())),
            None => Poll::End,
        }
    }

    fn unfinished(&self) -> Vec<(S::Split, Option<S::Position>)> {
        let active = self.active.iter().map(|one| (one.split.clone(), one.reader.position()));
        active.chain(self.waiting.iter().cloned()).collect()
    }
}

impl<S: SplitSource> Source for Splits<S> {
    type Out = S::Out;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        (self.subtask, self.parallelism) = (context.subtask(), context.parallelism);
        self.source.open(context)?;
        if !context.restored_list::<bool>(BEGUN)?.is_empty() {
            self.restore(context)
        } else if self.source.discovery_interval().is_none() {
            self.begin()
        } else {
            Ok(())
        }
    }

    fn poll(&mut self, out: &mut Output<S::Out>) -> TaskResult<Poll> {
        self.discover()?;
        self.activate()?;
        let mut one = match self.turn() {
            Ok(one) => one,
            Err(until) => return Ok(self.rest(until)),
        };
        self.turn.iter().for_each(|turn| turn.reads(one.number));
        match one.reader.read(out)? {
            Poll::End => self.turn.iter().for_each(|turn| turn.ended(one.number)),
            Poll::More => {
                one.rests_until = None;
                self.active.push_back(one);
            }
            Poll::Wait(span) => {
                one.rests_until = Some(Instant::now() + span);
                self.active.push_back(one);
            }
        }
        Ok(Poll::More)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        snapshot.list(SPLITS, Redistribution::Split, &self.unfinished())?;
        snapshot.list(BEGUN, Redistribution::Broadcast, &[true])?;
        if self.source.discovery_interval().is_some() {
            let seen: Vec<String> = self.seen.iter().cloned().collect();
            snapshot.list(SEEN, Redistribution::Union, &seen)?;
        }
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.source.checkpoint_complete(checkpoint)
    }

    fn close(&mut self) {
        self.active.clear();
        self.source.close();
    }
}
