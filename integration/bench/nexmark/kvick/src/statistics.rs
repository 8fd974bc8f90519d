//! Queries that keep figures of each day, channel or auction, or the best bids: an update at every bid that changes them.

use crate::io::Job;
use kvick::Key;
use kvick::prelude::*;
use nexmark::functions::{Counted, Figures, Prices, TopTen, count_new, counted, mark, rank};
use nexmark::row::OwnedBid;
use nexmark::time::date;

/// Keeps the figures of a key: counts in one state, who and what was seen in two others.
#[derive(Clone, Default)]
struct Statistics {
    figures: ValueState<(Str, Figures)>,
    bidders: MapState<u64, u8>,
    auctions: MapState<u64, u8>,
}

impl Statistics {
    /// Notes an identity; answers in which figures it is new.
    fn note<K: Key>(
        seen: &MapState<u64, u8>,
        id: u64,
        rank: usize,
        context: &mut KeyedContext<'_, K>,
    ) -> Result<u8, BoxError> {
        let mut known = seen.get(context, &id)?.copied().unwrap_or_default();
        let new = mark(&mut known, rank);
        if new != 0 {
            seen.put(context, id, known)?;
        }
        Ok(new)
    }
}

/// A key, the last minute, and the figures.
type Row<K> = (K, Str, Figures);

impl<K: Key> KeyedProcessFunction<K, Counted, Row<K>> for Statistics {
    fn open(&mut self, context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        self.figures = context.value_state(ValueStateDescriptor::new("figures"))?;
        self.bidders = context.map_state(MapStateDescriptor::new("bidders"))?;
        self.auctions = context.map_state(MapStateDescriptor::new("auctions"))?;
        Ok(())
    }

    fn process(
        &mut self,
        bid: Counted,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<Row<K>>,
    ) -> Result<(), BoxError> {
        let rank = rank(bid.price);
        let new_bidder = Statistics::note(&self.bidders, bid.bidder, rank, context)?;
        let new_auction = Statistics::note(&self.auctions, bid.auction, rank, context)?;
        let (minute, figures) = self.figures.modify(context, |kept| {
            let (minute, figures) = kept.get_or_insert_default();
            figures.count(rank);
            count_new(&mut figures.bidders, new_bidder);
            count_new(&mut figures.auctions, new_auction);
            if bid.minute > *minute {
                *minute = bid.minute;
            }
            (minute.clone(), *figures)
        })?;
        out.push((context.current_key().clone(), minute, figures));
        Ok(())
    }
}

/// q15.
pub fn by_day(env: &StreamExecutionEnvironment, job: &Job) {
    let figures = job.bids(env, |b| counted(b, false)).key_by(|bid| bid.day.clone());
    job.finish(&figures.process(Statistics::default()).map(|(day, _, figures)| (day, figures)));
}

/// q16.
pub fn by_channel(env: &StreamExecutionEnvironment, job: &Job) {
    let figures = job.bids(env, |b| counted(b, true)).key_by(|bid| (bid.channel.clone(), bid.day.clone()));
    job.finish(&figures.process(Statistics::default()));
}

/// q17.
pub fn by_auction(env: &StreamExecutionEnvironment, job: &Job) {
    let prices = job
        .bids(env, |b| (b.auction, date(b.at), Prices::of(b.price)))
        .key_by(|(auction, day, _)| (*auction, day.clone()))
        .reduce(|mut known, new| {
            known.2.merge(&new.2);
            known
        });
    job.finish(&prices);
}

/// Lets a key's bids pass that are not older than all before.
#[derive(Clone, Default)]
struct Latest {
    last: ValueState<i64>,
}

impl KeyedProcessFunction<(u64, u64), OwnedBid, OwnedBid> for Latest {
    fn open(&mut self, context: &mut FunctionContext<'_, (u64, u64)>) -> Result<(), BoxError> {
        self.last = context.value_state(ValueStateDescriptor::new("last"))?;
        Ok(())
    }

    fn process(
        &mut self,
        bid: OwnedBid,
        context: &mut KeyedContext<'_, (u64, u64)>,
        out: &mut Collector<OwnedBid>,
    ) -> Result<(), BoxError> {
        let is_older = self.last.modify(context, |last| {
            let is_older = last.is_some_and(|last| bid.at < last);
            *last = (*last).max(Some(bid.at));
            is_older
        })?;
        if !is_older {
            out.push(bid);
        }
        Ok(())
    }
}

/// q18: of bids made at the same time the one that comes later.
pub fn last_bids(env: &StreamExecutionEnvironment, job: &Job) {
    let bids = job.bids(env, |b| b.to_owned()).key_by(|bid| (bid.bidder, bid.auction));
    job.finish(&bids.process(Latest::default()));
}

/// Keeps the ten highest bids of a key, and emits those whose place has changed.
#[derive(Clone, Default)]
struct KeepTen {
    top: ValueState<TopTen>,
}

impl KeyedProcessFunction<u64, OwnedBid, (OwnedBid, u64)> for KeepTen {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        self.top = context.value_state(ValueStateDescriptor::new("top"))?;
        Ok(())
    }

    fn process(
        &mut self,
        bid: OwnedBid,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(OwnedBid, u64)>,
    ) -> Result<(), BoxError> {
        self.top.modify(context, |top| {
            let top = top.get_or_insert_default();
            if let Some(place) = top.add(bid) {
                top.from(place).for_each(|row| out.push(row));
            }
        })?;
        Ok(())
    }
}

/// q19.
pub fn ten_highest(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.bids(env, |b| b.to_owned()).key_by(|bid| bid.auction).process(KeepTen::default()));
}
