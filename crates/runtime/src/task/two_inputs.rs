//! The head of a chain with two inputs of different types: it gives both to one operator, as [`Either`].

use super::input::{Records, decode, split, wrong_type};
use super::{Head, TaskContext};
use crate::codec;
use crate::element::{Batch, Data, Event};
use crate::error::{TaskError, TaskResult};
use crate::exchange::gate::Packet;
use crate::exchange::in_flight;
use crate::operator::BoxStage;
use crate::operators::Either;
use crate::snapshot::OperatorSnapshot;
use std::any::Any;
use std::time::Instant;

/// The head of a chain that reads records of two types.
pub struct TwoInputs<A, B> {
    stage: BoxStage<Either<A, B>>,
    /// The inputs below this one are of the first type.
    first_inputs: usize,
    buffer: Batch<Either<A, B>>,
    first: Batch<A>,
    second: Batch<B>,
}

impl<A: Data, B: Data> TwoInputs<A, B> {
    /// A head in front of a stage; the first `first_inputs` inputs carry records of type `A`.
    pub fn boxed(stage: BoxStage<Either<A, B>>, first_inputs: usize) -> Box<dyn Head> {
        let (buffer, first, second) = (Batch::new(), Batch::new(), Batch::new());
        Box::new(TwoInputs { stage, first_inputs, buffer, first, second })
    }

    /// Gives what was gathered to the stage; tells how many records that were.
    fn give(&mut self) -> TaskResult<usize> {
        let records = self.buffer.len();
        self.stage.batch(&mut self.buffer)?;
        self.buffer.clear();
        Ok(records)
    }
}

/// Moves records with their timestamps into a batch of either type.
fn wrap<X, Y>(from: &mut Batch<X>, into: &mut Batch<Y>, wrap: impl Fn(X) -> Y) {
    into.timestamps = from.timestamps.take();
    into.records.extend(from.records.drain(..).map(wrap));
}

impl<A: Data, B: Data> Head for TwoInputs<A, B> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.stage.open(context)
    }

    fn batch(&mut self, input: usize, batch: Box<dyn Any + Send>) -> TaskResult {
        if input < self.first_inputs {
            let mut batch = batch.downcast::<Batch<A>>().map_err(|_| wrong_type::<A>())?;
            wrap(&mut batch, &mut self.buffer, Either::Left);
        } else {
            let mut batch = batch.downcast::<Batch<B>>().map_err(|_| wrong_type::<B>())?;
            wrap(&mut batch, &mut self.buffer, Either::Right);
        }
        self.give().map(drop)
    }

    fn encoded(&mut self, input: usize, bytes: &[u8]) -> TaskResult<usize> {
        let failed = |error| TaskError::caused("cannot read records of another worker", &error);
        if input < self.first_inputs {
            codec::decode(bytes, &mut self.first).map_err(failed)?;
            wrap(&mut self.first, &mut self.buffer, Either::Left);
        } else {
            codec::decode(bytes, &mut self.second).map_err(failed)?;
            wrap(&mut self.second, &mut self.buffer, Either::Right);
        }
        self.give()
    }

    fn decode(&self, input: usize, bytes: &[u8]) -> TaskResult<Records> {
        if input < self.first_inputs { decode::<A>(bytes) } else { decode::<B>(bytes) }
    }

    fn split(&self, input: usize, records: &mut Records, count: usize) -> TaskResult<Records> {
        if input < self.first_inputs { split::<A>(records, count) } else { split::<B>(records, count) }
    }

    fn record(&self, input: usize, packet: &Packet, log: &mut Vec<u8>) -> TaskResult {
        if input < self.first_inputs {
            in_flight::record::<A>(packet, log)
        } else {
            in_flight::record::<B>(packet, log)
        }
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.stage.event(event)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.stage.snapshot(snapshot)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.stage.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.stage.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.tick(now)
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.drain(now)
    }

    fn end(&mut self) -> TaskResult {
        self.stage.end()
    }

    fn close(&mut self) {
        self.stage.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::{Sink, stage};
    use crate::task::lock;
    use std::sync::{Arc, Mutex};

    type Kept = Arc<Mutex<Vec<(Either<u8, String>, Option<i64>)>>>;

    struct Keep(Kept);

    impl Sink<Either<u8, String>> for Keep {
        fn write(&mut self, batch: &mut Batch<Either<u8, String>>) -> TaskResult {
            let stamps = batch.timestamps.take();
            let mut stamps = stamps.iter().flatten().copied();
            lock(&self.0).extend(batch.records.drain(..).map(|record| (record, stamps.next())));
            Ok(())
        }
    }

    #[test]
    fn each_input_s_records_come_as_its_type_from_this_worker_and_from_others() -> TaskResult {
        let kept = Kept::default();
        let mut head = TwoInputs::<u8, String>::boxed(stage(Keep(Arc::clone(&kept))), 2);
        let numbers = || Batch { records: vec![7_u8, 8], timestamps: Some(vec![70, 80]) };
        let words = || Batch::of(vec!["a".to_string()]);
        head.batch(1, Box::new(numbers()))?;
        head.batch(2, Box::new(words()))?;
        let mut frames = Vec::new();
        codec::encode(&mut numbers(), |bytes, _| frames.push((0, bytes))).unwrap();
        codec::encode(&mut words(), |bytes, _| frames.push((2, bytes))).unwrap();
        for (input, bytes) in frames {
            head.encoded(input, &bytes)?;
        }
        let once = [
            (Either::Left(7), Some(70)),
            (Either::Left(8), Some(80)),
            (Either::Right("a".to_string()), None),
        ];
        assert_eq!(*lock(&kept), [once.clone(), once].concat());
        let wrong = head.batch(2, Box::new(numbers())).unwrap_err().to_string();
        assert!(wrong.contains("String"), "{wrong}");
        Ok(())
    }
}
