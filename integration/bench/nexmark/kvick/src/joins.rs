//! Queries that bring auctions together with their sellers or bids.
//!
//! An auction and a person exist once, so what waits for one is let go when it comes; bids that come later find it.

use crate::io::Job;
use kvick::prelude::*;
use kvick::{Data, Key, KeyedCoProcessFunction};
use nexmark::functions::{CATEGORY, is_near, passed};
use nexmark::row::{OwnedAuction, OwnedBid};
use nexmark::text::Line;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// Joins a side that exists once for a key with the many of another, which wait for it or find it; calls a function for each
/// pair.
#[derive(Clone)]
struct Join<A, B, F> {
    one: ValueState<A>,
    waiting: ListState<B>,
    pair: F,
}

impl<K, A, B, O, F> KeyedCoProcessFunction<K, A, B, O> for Join<A, B, F>
where
    K: Key,
    A: Data,
    B: Data,
    O: Data,
    F: FnMut(&A, B, &mut Collector<O>) + Clone + Send + 'static,
{
    fn open(&mut self, context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        self.one = context.value_state(ValueStateDescriptor::new("one"))?;
        self.waiting = context.list_state(ListStateDescriptor::new("waiting"))?;
        Ok(())
    }

    fn process1(
        &mut self,
        one: A,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<(), BoxError> {
        let waiting = self.waiting.get(context)?.to_vec();
        if !waiting.is_empty() {
            self.waiting.clear(context)?;
            waiting.into_iter().for_each(|many| (self.pair)(&one, many, out));
        }
        Ok(self.one.update(context, one)?)
    }

    fn process2(
        &mut self,
        many: B,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<O>,
    ) -> Result<(), BoxError> {
        match self.one.value(context)? {
            Some(one) => (self.pair)(one, many, out),
            None => self.waiting.add(context, many)?,
        }
        Ok(())
    }
}

/// Joins two streams by key; the first has each key once.
fn join<K: Key, A: Data, B: Data, O: Data>(
    one: &DataStream<A>,
    many: &DataStream<B>,
    key_of_one: impl Fn(&A) -> K + Clone + Send + 'static,
    key_of_many: impl Fn(&B) -> K + Clone + Send + 'static,
    pair: impl FnMut(&A, B, &mut Collector<O>) + Clone + Send + 'static,
) -> DataStream<O> {
    let join = Join { one: ValueState::default(), waiting: ListState::default(), pair };
    one.connect(many).key_by(key_of_one, key_of_many).process(join)
}

/// q3.
pub fn local_sellers(env: &StreamExecutionEnvironment, job: &Job) {
    let people = job.people(env, |p| {
        let row = || (p.id, Str::from(p.name), Str::from(p.city), Str::from(p.state));
        is_near(p.state).then(row)
    });
    let auctions = job.auctions(env, |a| (a.category == CATEGORY).then_some((a.seller, a.id)));
    let sellers = join(
        &people,
        &auctions,
        |person| person.0,
        |auction| auction.0,
        |(_, name, city, state), (_, id), out| out.push((name.clone(), city.clone(), state.clone(), id)),
    );
    job.finish(&sellers);
}

/// A valid bid on an auction of a category: auction, category, price.
type Valid = (u64, u64, u64);

/// Keeps an auction's highest price; emits by how much its category's sum and number of auctions grow.
#[derive(Clone, Default)]
struct Raise {
    highest: ValueState<u64>,
}

impl KeyedProcessFunction<u64, Valid, (u64, u64, u64)> for Raise {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        self.highest = context.value_state(ValueStateDescriptor::new("highest"))?;
        Ok(())
    }

    fn process(
        &mut self,
        (_, category, price): Valid,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64, u64)>,
    ) -> Result<(), BoxError> {
        let before = self.highest.modify(context, |highest| {
            let before = *highest;
            *highest = before.max(Some(price));
            before
        })?;
        match before {
            None => out.push((category, price, 1)),
            Some(before) if price > before => out.push((category, price - before, 0)),
            Some(_) => {}
        }
        Ok(())
    }
}

/// q4.
pub fn category_averages(env: &StreamExecutionEnvironment, job: &Job) {
    let auctions = job.auctions(env, |a| Some((a.id, a.category, a.at, a.expires)));
    let bids = job.bids(env, |b| (b.auction, b.price, b.at));
    let valid = join(
        &auctions,
        &bids,
        |auction| auction.0,
        |bid| bid.0,
        |(id, category, at, expires), (_, price, bid_at), out| {
            if (at..=expires).contains(&&bid_at) {
                out.push((*id, *category, price));
            }
        },
    );
    let averages = valid
        .key_by(|bid| bid.0)
        .process(Raise::default())
        .key_by(|change| change.0)
        .reduce(|known, new| (known.0, known.1 + new.1, known.2 + new.2))
        .map(|(category, sum, auctions)| (category, sum / auctions));
    job.finish(&averages);
}

/// A bid as far as query 9 asks: auction, bidder, price, time, extra.
type Offer = (u64, u64, u64, i64, Str);

/// An auction with the bid that has won so far.
#[derive(Clone, Serialize, Deserialize)]
struct Won(OwnedAuction, Offer);

impl Line for Won {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        (self.0.line(), self.1.line()).write(out)
    }
}

/// q9: an update whenever a better bid comes; of equal prices the earlier one is better.
pub fn winning_bids(env: &StreamExecutionEnvironment, job: &Job) {
    let auctions = job.auctions(env, |a| Some(a.to_owned()));
    let bids = job.bids(env, passed);
    let won = join(
        &auctions,
        &bids,
        |auction| auction.id,
        |bid| bid.0,
        |auction, bid, out| {
            if (auction.at..=auction.expires).contains(&bid.3) {
                out.push(Won(auction.clone(), bid));
            }
        },
    );
    job.finish(&won.key_by(|won| won.0.id).process(Better::default()));
}

/// Lets a key's bids pass that are better than all before.
#[derive(Clone, Default)]
struct Better {
    best: ValueState<(u64, i64)>,
}

impl KeyedProcessFunction<u64, Won, Won> for Better {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        self.best = context.value_state(ValueStateDescriptor::new("best"))?;
        Ok(())
    }

    fn process(
        &mut self,
        won: Won,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<Won>,
    ) -> Result<(), BoxError> {
        let (price, at) = (won.1.2, won.1.3);
        let is_better = self.best.modify(context, |best| {
            let is_better = best.is_none_or(|best| price > best.0 || price == best.0 && at < best.1);
            if is_better {
                *best = Some((price, at));
            }
            is_better
        })?;
        if is_better {
            out.push(won);
        }
        Ok(())
    }
}

/// A row of query 20: the bid, and of the auction item, description, initial bid, reserve, times, seller, category, extra.
type Expanded = (OwnedBid, (Str, Str, u64, u64, i64, i64, u64, u64), Str);

/// q20.
pub fn with_auctions(env: &StreamExecutionEnvironment, job: &Job) {
    let auctions = job.auctions(env, |a| (a.category == CATEGORY).then(|| a.to_owned()));
    let bids = job.bids(env, |b| b.to_owned());
    let expanded = join(&auctions, &bids, |auction| auction.id, |bid| bid.auction, expand);
    job.finish(&expanded);
}

fn expand(a: &OwnedAuction, bid: OwnedBid, out: &mut Collector<Expanded>) {
    let (item, description) = (a.item.clone(), a.description.clone());
    let sold = (item, description, a.initial_bid, a.reserve, a.at, a.expires, a.seller, a.category);
    out.push((bid, sold, a.extra.clone()));
}
