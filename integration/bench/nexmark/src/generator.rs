//! The generator: event number in, person, auction or bid out, by Nexmark's published model.
//!
//! Of each fifty events one is a person, three are auctions, forty-six are bids. Identities are a function of the event's
//! number, so that a bid can name an auction that exists without the generator keeping any. Half of the bids go to the
//! hottest auction of the moment, three quarters come from the hottest bidder, three quarters of the auctions are
//! the hottest seller's. Event time advances by 100 µs an event; within groups of events the order is disturbed.

use crate::random::Random;
use crate::row::{OwnedAuction, OwnedBid};
use crate::text::Line;
use std::fmt::{self, Write};

/// 2015-07-15T00:00:00Z, epoch milliseconds: where event time begins.
pub const BASE_TIME: i64 = 1_436_918_400_000;

const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
/// Events of one round: a person, the auctions, the bids.
pub const ROUND: u64 = 50;

/// What a person's and an auction's identity begins with, and a category's.
const FIRST_ID: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// Ten thousand events a second of event time.
const MICROS_BETWEEN_EVENTS: i64 = 100;
/// Within so many events (a tenth of a second) order is disturbed, by steps of a number that shares no factor with it.
const DISORDER: u64 = 1000;
const STEP: u64 = 953;

/// One in so many goes elsewhere than to the hot auction, bidder, seller.
const HOT_AUCTION: u64 = 2;
const HOT_BIDDER: u64 = 4;
const HOT_SELLER: u64 = 4;
/// Every hundredth identity gets hot.
const HOT_EVERY: u64 = 100;
/// Auctions that are bid on at a time, people who are active, and how far identities that do not exist yet are named.
const OPEN_AUCTIONS: u64 = 100;
const ACTIVE_PEOPLE: u64 = 1000;
const LEAD: u64 = 10;

/// The average length of a row, bytes.
const PERSON_BYTES: usize = 200;
const AUCTION_BYTES: usize = 500;
const BID_BYTES: usize = 100;

const FIRST_NAMES: [&str; 11] =
    ["Ada", "Boris", "Carla", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaja"];
const LAST_NAMES: [&str; 9] =
    ["Almeida", "Berg", "Costa", "Dvorak", "Eriksen", "Fuchs", "Garnier", "Hansen", "Ivanova"];
/// The states of the published model: query 3 asks for three of them.
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
/// Half of the bids come through these (queries 16 and 21 tell them apart).
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const CHANNELS: u64 = 10_000;

/// A person with texts of its own.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct OwnedPerson {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub credit_card: String,
    pub city: &'static str,
    pub state: &'static str,
    pub at: i64,
    pub extra: String,
}

impl Line for OwnedPerson {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let OwnedPerson { id, name, email, credit_card, city, state, at, extra } = self;
        write!(out, "{id},{name},{email},{credit_card},{city},{state},{at},{extra}")
    }
}

/// An event of the auction house.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    Person(OwnedPerson),
    Auction(OwnedAuction),
    Bid(OwnedBid),
}

/// The events, one after the other, without end.
pub struct Generator {
    next: u64,
    random: Random,
    channels: Vec<(String, String)>,
}

impl Generator {
    /// The same events for the same seed.
    pub fn new(seed: u64) -> Generator {
        let mut random = Random::new(seed);
        let channels = (0..CHANNELS).map(|number| channel(number, &mut random)).collect();
        Generator { next: 0, random, channels }
    }

    fn person(&mut self, event: u64, at: i64) -> OwnedPerson {
        let random = &mut self.random;
        let name = format!("{} {}", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES));
        let email = format!("{}@{}.com", random.letters(7), random.letters(5));
        let group = |random: &mut Random| format!("{:04}", random.below(10_000));
        let credit_card = (0..4).map(|_| group(random)).collect::<Vec<_>>().join(" ");
        let (city, state) = (random.pick(&CITIES), random.pick(&STATES));
        let used = 8 + name.len() + email.len() + credit_card.len() + city.len() + state.len() + 8;
        let extra = extra(random, used, PERSON_BYTES);
        OwnedPerson { id: FIRST_ID + last_person(event), name, email, credit_card, city, state, at, extra }
    }

    fn auction(&mut self, event: u64, at: i64) -> OwnedAuction {
        let random = &mut self.random;
        let seller = match random.below(HOT_SELLER) {
            0 => some_person(event, random),
            _ => last_person(event) / HOT_EVERY * HOT_EVERY,
        };
        let (item, description) = (random.words(20), random.words(100));
        let initial_bid = price(random);
        let used = item.len() + description.len() + 8 * 8;
        OwnedAuction {
            id: FIRST_ID + last_auction(event),
            item: item.into(),
            description: description.into(),
            initial_bid,
            reserve: initial_bid + price(random),
            at,
            expires: at + auction_length(random),
            seller: FIRST_ID + seller,
            category: FIRST_CATEGORY + random.below(CATEGORIES),
            extra: extra(random, used, AUCTION_BYTES).into(),
        }
    }

    fn bid(&mut self, event: u64, at: i64) -> OwnedBid {
        let random = &mut self.random;
        let auction = match random.below(HOT_AUCTION) {
            0 => some_auction(event, random),
            _ => last_auction(event) / HOT_EVERY * HOT_EVERY,
        };
        let bidder = match random.below(HOT_BIDDER) {
            0 => some_person(event, random),
            // Not the hot seller.
            _ => last_person(event) / HOT_EVERY * HOT_EVERY + 1,
        };
        let price = price(random);
        let number = match random.below(2) {
            0 => random.below(HOT_CHANNELS.len() as u64),
            _ => random.below(CHANNELS),
        };
        let (channel, url) = &self.channels[number as usize];
        let extra = extra(random, 4 * 8, BID_BYTES).into();
        let (auction, bidder) = (FIRST_ID + auction, FIRST_ID + bidder);
        OwnedBid { auction, bidder, price, channel: channel.into(), url: url.into(), at, extra }
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = self.next / DISORDER * DISORDER + self.next * STEP % DISORDER;
        self.next += 1;
        let at = BASE_TIME + event as i64 * MICROS_BETWEEN_EVENTS / 1000;
        Some(match event % ROUND {
            offset if offset < PERSONS => Event::Person(self.person(event, at)),
            offset if offset < PERSONS + AUCTIONS => Event::Auction(self.auction(event, at)),
            _ => Event::Bid(self.bid(event, at)),
        })
    }
}

/// The hot channels come first; the others have a number in their name, and nine of ten of those one in their URL.
fn channel(number: u64, random: &mut Random) -> (String, String) {
    let page = format!(
        "https://www.nexmark.com/{}/{}/{}/item.htm?query=1",
        random.letters(5),
        random.letters(5),
        random.letters(5)
    );
    match HOT_CHANNELS.get(number as usize) {
        Some(name) => (name.to_string(), page),
        None if random.below(10) == 0 => (format!("channel-{number}"), page),
        None => (
            format!("channel-{number}"),
            format!("{page}&channel_id={}", (number as u32).reverse_bits() >> 1),
        ),
    }
}

/// The identity (from 0) of the youngest person before or at an event: each round begins with one.
fn last_person(event: u64) -> u64 {
    event / ROUND
}

/// The identity (from 0) of the youngest auction before or at an event.
fn last_auction(event: u64) -> u64 {
    let (round, offset) = (event / ROUND, event % ROUND);
    if offset < PERSONS {
        // The round's auctions are still to come.
        return (round * AUCTIONS).saturating_sub(1);
    }
    round * AUCTIONS + (offset - PERSONS).min(AUCTIONS - 1)
}

/// A person who is active, or about to register.
fn some_person(event: u64, random: &mut Random) -> u64 {
    let people = last_person(event) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + random.below(active + LEAD)
}

/// An auction that is open, or about to be opened.
fn some_auction(event: u64, random: &mut Random) -> u64 {
    let last = last_auction(event);
    let first = last.saturating_sub(OPEN_AUCTIONS);
    first + random.below(last - first + 1 + LEAD)
}

/// From 1 to 1,000,000 dollars, all orders of magnitude alike; cents.
fn price(random: &mut Random) -> u64 {
    (10_f64.powf(random.unit() * 6.0) * 100.0).round() as u64
}

/// On average, as many auctions are open at a time as there are to be; milliseconds.
fn auction_length(random: &mut Random) -> i64 {
    let events = (OPEN_AUCTIONS * ROUND / AUCTIONS) as i64;
    1 + random.below((events * MICROS_BETWEEN_EVENTS / 1000 * 2).max(1) as u64) as i64
}

/// Letters that bring a row of `used` bytes to about `wanted`: a fifth more or less than what is missing.
fn extra(random: &mut Random, used: usize, wanted: usize) -> String {
    let missing = wanted.saturating_sub(used) as u64;
    let spread = missing / 5;
    let length = missing - spread + random.below(2 * spread + 1);
    random.letters(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_fifty_events_one_is_a_person_and_three_are_auctions() {
        let (mut persons, mut auctions) = (0, 0);
        for event in Generator::new(1).take(50_000) {
            match event {
                Event::Person(_) => persons += 1,
                Event::Auction(_) => auctions += 1,
                Event::Bid(_) => {}
            }
        }
        assert_eq!((persons, auctions), (1000, 3000));
    }

    #[test]
    fn identities_are_given_once_and_without_gaps() {
        let mut ids: Vec<u64> = Generator::new(1)
            .take(50_000)
            .filter_map(|event| match event {
                Event::Auction(auction) => Some(auction.id),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(1000..4000));
    }

    #[test]
    fn about_half_of_the_bids_go_to_hot_auctions() {
        let bids = Generator::new(1).take(100_000).filter_map(|event| match event {
            Event::Bid(bid) => Some(bid),
            _ => None,
        });
        let (hot, all) =
            bids.fold((0, 0), |(hot, all), bid| (hot + u32::from(bid.auction.is_multiple_of(100)), all + 1));
        assert!((0.48..0.56).contains(&(f64::from(hot) / f64::from(all))), "{hot} of {all}");
    }

    #[test]
    fn order_is_disturbed_by_less_than_a_tenth_of_a_second() {
        let mut latest = i64::MIN;
        let mut most = 0;
        for event in Generator::new(1).take(20_000) {
            let at = match &event {
                Event::Person(person) => person.at,
                Event::Auction(auction) => auction.at,
                Event::Bid(bid) => bid.at,
            };
            most = most.max(latest.saturating_sub(at));
            latest = latest.max(at);
        }
        assert!((1..100).contains(&most), "{most} ms");
    }
}
