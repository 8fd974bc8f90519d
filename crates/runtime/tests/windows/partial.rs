//! Windows over a whole stream of which each producer combines a part: the same fires at the same time as where every
//! record comes by itself.

use super::{Fired, Fixed, Gather, Record, Step, in_order, steps};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::window::*;
use kvick_runtime::testing::{Emitted, Harness};
use kvick_runtime::timers::TimeDomain;
use proptest::prelude::*;

type Producer = Harness<Record, Vec<u64>>;
type Consumer = Harness<Vec<u64>, Fired>;

type Emit = ApplyEach<ResultOf<Record, Gather>, fn(&(), &TimeWindow, Vec<u64>, &mut Output<Fired>), Fired>;

/// Two producers, the second of which hears of time later, and the consumer.
struct Pair {
    panes: Panes,
    lateness: i64,
    producers: [Producer; 2],
    reached: [i64; 2],
    consumer: Consumer,
}

impl Pair {
    fn new(panes: Panes, lateness: i64) -> Pair {
        let consumer = Harness::open(consumer(panes, lateness)).unwrap();
        Pair { panes, lateness, producers: producers(panes), reached: [i64::MIN; 2], consumer }
    }

    /// What a producer has sent reaches the consumer.
    fn carry(&mut self, producer: usize) {
        for emitted in self.producers[producer].take() {
            if let Emitted::Record(numbers, at) = emitted {
                self.consumer.process(numbers, at.unwrap()).unwrap();
            }
        }
    }

    fn record(&mut self, record: Record, at: i64) {
        let producer = usize::from(record.0 % 2);
        self.producers[producer].process(record, at).unwrap();
        self.carry(producer);
    }

    fn watermark(&mut self, producer: usize, to: i64) {
        self.producers[producer].watermark(to).unwrap();
        self.reached[producer] = to;
        self.carry(producer);
        let both = self.reached[0].min(self.reached[1]);
        if both > i64::MIN {
            self.consumer.watermark(both).unwrap();
        }
    }

    /// All of it goes through a snapshot.
    fn restore(&mut self) {
        for producer in 0..2 {
            let state = self.producers[producer].snapshot().unwrap();
            assert!(state.is_empty(), "a producer keeps nothing");
            self.carry(producer);
        }
        let state = self.consumer.snapshot().unwrap();
        let operator = consumer(self.panes, self.lateness);
        self.consumer = Harness::restored(operator, &[state], 0, 1).unwrap();
        self.producers = producers(self.panes);
        for (producer, to) in self.reached.into_iter().enumerate().filter(|(_, to)| *to > i64::MIN) {
            self.watermark(producer, to);
        }
    }
}

fn producers(panes: Panes) -> [Producer; 2] {
    [(); 2].map(|()| Harness::open(PartialWindows::new(Aggregated(Gather), panes)).unwrap())
}

type Both = Partials<Record, Aggregated<Gather>>;
type Second = SliceOperator<Vec<u64>, (), fn(&Vec<u64>), TimeWindow, Both, Emit>;

fn consumer(panes: Panes, lateness: i64) -> Second {
    let emit: Emit = ApplyEach::new(ResultOf::new(Gather), |(), window, all, out| {
        out.push((0, window.start, window.end, all));
    });
    let settings = WindowSettings { allowed_lateness: lateness, late_output: None, batch: false };
    let contents = Partials::new(Aggregated(Gather));
    SliceOperator::new(|_| (), contents, emit, panes, TimeDomain::EventTime, settings)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(192)))]

    #[test]
    fn what_is_combined_before_the_exchange_fires_as_if_it_were_not(
        steps in steps(), size in 1_i64..25, slide in 1_i64..25, offset in 0_i64..8, lateness in 0_i64..20,
    ) {
        // The consumer's time is that of the second producer, one watermark behind that of the first.
        let (mut seen, mut behind) = (Vec::new(), None);
        let mut pair = Pair::new(Panes { size, slide, offset }, lateness);
        let (mut fired, mut number) = (Vec::new(), 0);
        for step in &steps {
            match step {
                Step::Record(key, at) => {
                    pair.record((*key, number), *at);
                    number += 1;
                    seen.push(Step::Record(0, *at));
                }
                Step::Watermark(to) => {
                    pair.watermark(0, *to);
                    if let Some(to) = behind.replace(*to) {
                        pair.watermark(1, to);
                        seen.push(Step::Watermark(to));
                    } else {
                        seen.push(Step::Restore);
                    }
                }
                Step::Restore => {
                    pair.restore();
                    seen.push(Step::Restore);
                }
            }
            fired.push(pair.consumer.take_records());
        }
        (0..2).for_each(|producer| pair.watermark(producer, i64::MAX));
        fired.push(pair.consumer.take_records());
        let model = in_order(Fixed { size, slide, offset, lateness }.tell(&seen));
        let told = in_order(super::Told { fired, late: Vec::new() });
        prop_assert_eq!(told.fired, model.fired);
    }
}

#[test]
fn who_falls_idle_sends_what_it_has_before_others_go_on_without_it() {
    let mut producer =
        Harness::open(PartialWindows::new(Aggregated(Gather), Panes { size: 10, slide: 10, offset: 0 }))
            .unwrap();
    producer.process((1, 7), 3).unwrap();
    producer.process((1, 8), 4).unwrap();
    assert_eq!(producer.take(), []);
    producer.idle().unwrap();
    assert_eq!(producer.take(), [Emitted::Record(vec![7, 8], Some(3)), Emitted::Idle(true)]);
}

#[test]
fn producers_send_one_value_for_each_slice_before_the_watermark_that_ends_it() {
    let mut producer =
        Harness::open(PartialWindows::new(Aggregated(Gather), Panes { size: 10, slide: 10, offset: 0 }))
            .unwrap();
    for (number, at) in [(0, 1), (1, 12), (2, 9), (3, 11)] {
        producer.process((1, number), at).unwrap();
    }
    producer.watermark(9).unwrap();
    assert_eq!(producer.take(), [Emitted::Record(vec![0, 2], Some(1)), Emitted::Watermark(9)]);
    // Late: by itself, so that it is counted, or lets the window fire again.
    producer.process((1, 4), 5).unwrap();
    assert_eq!(producer.take(), [Emitted::Record(vec![4], Some(5))]);
    producer.end().unwrap();
    assert_eq!(producer.take(), [Emitted::Record(vec![1, 3], Some(12)), Emitted::Watermark(i64::MAX)]);
}

#[test]
fn records_without_timestamps_are_refused_in_words() {
    let operator = PartialWindows::new(Aggregated(Gather), Panes { size: 10, slide: 10, offset: 0 });
    let error = Harness::open(operator).unwrap().process_unstamped((1, 1)).unwrap_err().to_string();
    assert!(error.contains("assign_timestamps_and_watermarks"), "{error}");
}
