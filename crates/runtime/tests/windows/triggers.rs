//! Every trigger on every kind of window, with lateness and eviction, against a model that follows Flink's descriptions of
//! them record by record and timer by timer.

use super::{Fired, Record, Step, Told, in_order, key, list, observe, settings, steps};
use kvick_runtime::operators::window::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// When a window fires.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    EventTime,
    Count(u64),
    Continuous(i64),
}

/// What an evictor goes by.
#[derive(Debug, Clone, Copy)]
enum Evicts {
    /// All but the last so many.
    Count(usize),
    /// What is older than the youngest by so much.
    Time(i64),
    /// What differs from the last by so much.
    Delta(u64),
}

/// What a window leaves out, before or after it is evaluated.
#[derive(Debug, Clone, Copy)]
struct Eviction {
    evicts: Evicts,
    after: bool,
}

/// A rule, whether firing purges, and what is evicted.
#[derive(Debug, Clone, Copy)]
struct Policy {
    rule: Rule,
    purges: bool,
    eviction: Option<Eviction>,
}

impl Evicts {
    /// The same of numbers with their times, as on paper.
    fn evict(self, records: &mut Vec<(u64, i64)>) {
        let (last, youngest) = (records.last().copied(), records.iter().map(|record| record.1).max());
        let (Some((last, _)), Some(youngest)) = (last, youngest) else { return };
        match self {
            Evicts::Count(keeps) => drop(records.drain(..records.len().saturating_sub(keeps))),
            Evicts::Time(span) => records.retain(|(_, at)| youngest - at < span),
            Evicts::Delta(threshold) => records.retain(|(number, _)| number.abs_diff(last) < threshold),
        }
    }
}

/// The evictor of any [`Eviction`].
#[derive(Clone)]
enum AnyEvictor {
    Count(CountEvictor),
    Time(TimeEvictor),
    Delta(DeltaEvictor<fn(&Record, &Record) -> f64>),
}

impl AnyEvictor {
    fn of(Eviction { evicts, after }: Eviction) -> AnyEvictor {
        let difference: fn(&Record, &Record) -> f64 = |a, b| a.1.abs_diff(b.1) as f64;
        match (evicts, after) {
            (Evicts::Count(keeps), false) => AnyEvictor::Count(CountEvictor::of(keeps)),
            (Evicts::Count(keeps), true) => AnyEvictor::Count(CountEvictor::of_after(keeps)),
            (Evicts::Time(keeps), false) => AnyEvictor::Time(TimeEvictor::of(span(keeps))),
            (Evicts::Time(keeps), true) => AnyEvictor::Time(TimeEvictor::of_after(span(keeps))),
            (Evicts::Delta(least), false) => AnyEvictor::Delta(DeltaEvictor::of(least as f64, difference)),
            (Evicts::Delta(least), true) => {
                AnyEvictor::Delta(DeltaEvictor::of_after(least as f64, difference))
            }
        }
    }
}

impl Evictor<Record, TimeWindow> for AnyEvictor {
    fn evict_before(&mut self, all: &mut Elements<Record>, window: &TimeWindow, context: &EvictorContext) {
        match self {
            AnyEvictor::Count(evictor) => evictor.evict_before(all, window, context),
            AnyEvictor::Time(evictor) => evictor.evict_before(all, window, context),
            AnyEvictor::Delta(evictor) => evictor.evict_before(all, window, context),
        }
    }

    fn evict_after(&mut self, all: &mut Elements<Record>, window: &TimeWindow, context: &EvictorContext) {
        match self {
            AnyEvictor::Count(evictor) => evictor.evict_after(all, window, context),
            AnyEvictor::Time(evictor) => evictor.evict_after(all, window, context),
            AnyEvictor::Delta(evictor) => evictor.evict_after(all, window, context),
        }
    }
}

/// What is known of one key and window.
#[derive(Debug, Clone, Default)]
struct Pane {
    /// Numbers with their times.
    records: Vec<(u64, i64)>,
    seen: u64,
    next: Option<i64>,
    timers: BTreeSet<i64>,
}

impl Pane {
    /// A record came; whether the window fires.
    fn record(&mut self, rule: Rule, at: i64, last: i64, watermark: i64) -> bool {
        if let Rule::Count(count) = rule {
            self.seen += 1;
            let full = self.seen >= count;
            self.seen = if full { 0 } else { self.seen };
            return full;
        }
        if last <= watermark {
            return true;
        }
        self.timers.insert(last);
        if let (Rule::Continuous(interval), None) = (rule, self.next) {
            let next = at.div_euclid(interval) * interval + interval;
            self.timers.insert(next);
            self.next = Some(next);
        }
        false
    }

    /// A timer is due; whether the window fires.
    fn timer(&mut self, rule: Rule, at: i64, last: i64, watermark: i64) -> bool {
        match rule {
            Rule::Count(_) => false,
            Rule::EventTime => at == last,
            Rule::Continuous(_) if at == last => true,
            Rule::Continuous(interval) => {
                let due = self.next == Some(at);
                if due {
                    let next = at + interval;
                    let goes_on = next < last && watermark != i64::MAX;
                    self.next = goes_on.then_some(next);
                    self.timers.extend(self.next);
                }
                due
            }
        }
    }

    /// What the window says when it fires.
    fn fire(&mut self, policy: Policy) -> Option<Vec<u64>> {
        let evict = |after: bool| policy.eviction.filter(|eviction| eviction.after == after);
        evict(false).iter().for_each(|eviction| eviction.evicts.evict(&mut self.records));
        let numbers: Vec<u64> = self.records.iter().map(|record| record.0).collect();
        evict(true).iter().for_each(|eviction| eviction.evicts.evict(&mut self.records));
        if policy.purges {
            self.records.clear();
        }
        Some(numbers).filter(|numbers| !numbers.is_empty())
    }
}

/// Sliding windows (tumbling ones where size and slide are equal).
struct Model {
    size: i64,
    slide: i64,
    lateness: i64,
    policy: Policy,
    panes: BTreeMap<(u8, i64), Pane>,
    watermark: i64,
}

impl Model {
    fn tell(mut self, steps: &[Step]) -> Told {
        let (mut told, mut number) = (Told::default(), 0);
        for step in steps.iter().chain(&[Step::Watermark(i64::MAX)]) {
            let fired = match step {
                Step::Record(key, at) => {
                    let (fired, is_late) = self.record(*key, *at, number);
                    told.late.extend(is_late.then_some(number));
                    number += 1;
                    fired
                }
                Step::Watermark(to) => self.advance(*to),
                // The last watermark comes once more; a timer that was set behind it is due then.
                Step::Restore if self.watermark > i64::MIN => self.advance(self.watermark),
                Step::Restore => Vec::new(),
            };
            told.fired.push(fired);
        }
        told
    }

    fn record(&mut self, key: u8, at: i64, number: u64) -> (Vec<Fired>, bool) {
        let starts: Vec<i64> =
            (at - self.size + 1..=at).filter(|start| start.rem_euclid(self.slide) == 0).collect();
        let (size, lateness, watermark) = (self.size, self.lateness, self.watermark);
        let (mut fired, mut taken) = (Vec::new(), false);
        for start in starts {
            let last = start + size - 1;
            if last.saturating_add(lateness) <= watermark {
                continue;
            }
            taken = true;
            let pane = self.panes.entry((key, start)).or_default();
            pane.timers.insert(last + lateness);
            pane.records.push((number, at));
            if pane.record(self.policy.rule, at, last, watermark) {
                fired.extend(pane.fire(self.policy).map(|records| (key, start, start + size, records)));
            }
        }
        (fired, !taken && at.saturating_add(lateness) <= watermark)
    }

    fn advance(&mut self, to: i64) -> Vec<Fired> {
        self.watermark = to;
        let mut fired = Vec::new();
        for ((key, start), mut pane) in std::mem::take(&mut self.panes) {
            let last = start + self.size - 1;
            let mut is_over = false;
            while let Some(at) = pane.timers.first().copied().filter(|at| *at <= to) {
                pane.timers.remove(&at);
                if pane.timer(self.policy.rule, at, last, to) {
                    let said = pane.fire(self.policy);
                    fired.extend(said.map(|records| (key, start, start + self.size, records)));
                }
                if at == last + self.lateness {
                    is_over = true;
                    break;
                }
            }
            if !is_over {
                self.panes.insert((key, start), pane);
            }
        }
        fired
    }
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(millis as u64)
}

/// What the operator says, with any trigger.
fn with_trigger<Tr: Trigger<Record, TimeWindow>>(model: &Model, trigger: Tr, steps: &[Step]) -> Told {
    let assigner = SlidingEventTimeWindows::with_offset(span(model.size), span(model.slide), span(0));
    let emit = ApplyList::new(list);
    match model.policy.eviction {
        None => observe(
            || {
                let (trigger, emit) = (trigger.clone(), emit.clone());
                WindowOperator::new(key, assigner, trigger, Listed::new(), emit, settings(model.lateness))
            },
            steps,
        ),
        Some(eviction) => observe(
            || {
                let emit = Evicting::new(AnyEvictor::of(eviction), emit.clone());
                let trigger = trigger.clone();
                WindowOperator::new(key, assigner, trigger, Listed::new(), emit, settings(model.lateness))
            },
            steps,
        ),
    }
}

fn observed(model: &Model, steps: &[Step]) -> Told {
    match (model.policy.rule, model.policy.purges) {
        (Rule::EventTime, false) => with_trigger(model, EventTimeTrigger::create(), steps),
        (Rule::EventTime, true) => with_trigger(model, PurgingTrigger::of(EventTimeTrigger::create()), steps),
        (Rule::Count(count), false) => with_trigger(model, CountTrigger::of(count), steps),
        (Rule::Count(count), true) => with_trigger(model, PurgingTrigger::of(CountTrigger::of(count)), steps),
        (Rule::Continuous(every), false) => {
            with_trigger(model, ContinuousEventTimeTrigger::of(span(every)), steps)
        }
        (Rule::Continuous(every), true) => {
            with_trigger(model, PurgingTrigger::of(ContinuousEventTimeTrigger::of(span(every))), steps)
        }
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let rule = prop_oneof![
        Just(Rule::EventTime),
        (1_u64..5).prop_map(Rule::Count),
        (2_i64..12).prop_map(Rule::Continuous),
    ];
    let evicts = prop_oneof![
        (1_usize..4).prop_map(Evicts::Count),
        (1_i64..12).prop_map(Evicts::Time),
        (1_u64..8).prop_map(Evicts::Delta),
    ];
    let eviction = (evicts, any::<bool>()).prop_map(|(evicts, after)| Eviction { evicts, after });
    let eviction = prop_oneof![1 => Just(None), 1 => eviction.prop_map(Some)];
    (rule, any::<bool>(), eviction).prop_map(|(rule, purges, eviction)| Policy { rule, purges, eviction })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(256)))]

    #[test]
    fn windows_with_any_trigger_and_evictor_fire_as_the_model_does(
        steps in steps(), size in 1_i64..25, slide in 1_i64..25, lateness in 0_i64..20, policy in policies(),
    ) {
        let slide = if slide % 3 == 0 { size } else { slide };
        let model = || Model { size, slide, lateness, policy, panes: BTreeMap::new(), watermark: i64::MIN };
        prop_assert_eq!(in_order(observed(&model(), &steps)), in_order(model().tell(&steps)));
    }

    #[test]
    fn sessions_that_fire_by_count_add_up_the_counts_of_those_that_they_join(
        steps in steps(), gap in 1_i64..15, count in 1_u64..5, purges in any::<bool>(),
    ) {
        let model = in_order(counted_sessions(&steps, gap, count, purges));
        let assigner = EventTimeSessionWindows::with_gap(span(gap));
        let told = if purges {
            let trigger = PurgingTrigger::of(CountTrigger::of(count));
            observe(|| WindowOperator::new(key, assigner, trigger, Listed::new(), ApplyList::new(list), settings(0)), &steps)
        } else {
            let trigger = CountTrigger::of(count);
            observe(|| WindowOperator::new(key, assigner, trigger, Listed::new(), ApplyList::new(list), settings(0)), &steps)
        };
        prop_assert_eq!(in_order(told), model);
    }
}

/// Sessions without lateness: key, start, end, records, how many since the last firing.
fn counted_sessions(steps: &[Step], gap: i64, count: u64, purges: bool) -> Told {
    let mut sessions: Vec<(u8, i64, i64, Vec<u64>, u64)> = Vec::new();
    let (mut told, mut watermark, mut number) = (Told::default(), i64::MIN, 0);
    for step in steps.iter().chain(&[Step::Watermark(i64::MAX)]) {
        let mut fired = Vec::new();
        if let Step::Watermark(to) = step {
            watermark = *to;
            sessions.retain(|session| session.2 - 1 > watermark);
        }
        if let Step::Record(key, at) = step {
            let (mut start, mut end) = (*at, at + gap);
            let touches = |s: &(u8, i64, i64, Vec<u64>, u64)| s.0 == *key && s.1 <= *at + gap && s.2 >= *at;
            let joined: Vec<_> = sessions.iter().filter(|s| touches(s)).cloned().collect();
            joined.iter().for_each(|s| (start, end) = (start.min(s.1), end.max(s.2)));
            if end - 1 <= watermark {
                told.late.push(number);
            } else {
                sessions.retain(|s| !touches(s));
                let mut all: Vec<u64> = joined.iter().flat_map(|s| s.3.clone()).collect();
                all.push(number);
                let mut seen = joined.iter().map(|s| s.4).sum::<u64>() + 1;
                if seen >= count {
                    fired.push((*key, start, end, all.clone()));
                    seen = 0;
                    if purges {
                        all.clear();
                    }
                }
                sessions.push((*key, start, end, all, seen));
            }
            number += 1;
        }
        told.fired.push(fired);
    }
    told
}
