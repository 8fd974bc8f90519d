//! The state machine of StateMachineExample: what clients of a service do, in which order it is allowed, and a generator of
//! events that follow the order, or now and then do not.
//!
//! ```text
//!           +--<a>--> W --<b>--> Y --<e>--+
//!           |                    ^        |
//! Initial --+         +---<b>----+        +--> Z --<g>--> Terminal
//!           |         |                   |
//!           +--<c>--> X --------<d>-------+
//! ```

use crate::random;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "letters say nothing more")]
pub enum EventType {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
}

/// Something that a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The client's address.
    pub address: u32,
    /// What it did.
    pub kind: EventType,
}

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "letters say nothing more")]
pub enum State {
    Initial,
    W,
    X,
    Y,
    Z,
    Terminal,
}

impl State {
    /// Where the event leads; `None` where it is not allowed.
    pub fn after(self, event: EventType) -> Option<State> {
        match (self, event) {
            (State::Initial, EventType::A) => Some(State::W),
            (State::Initial, EventType::C) => Some(State::X),
            (State::W | State::X, EventType::B) => Some(State::Y),
            (State::X, EventType::D) | (State::Y, EventType::E) => Some(State::Z),
            (State::Z, EventType::G) => Some(State::Terminal),
            _ => None,
        }
    }
}

/// An event that is not allowed where its client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The client's address.
    pub address: u32,
    /// Where it is.
    pub state: State,
    /// What it did.
    pub event: EventType,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.address.to_be_bytes();
        let event = format!("{:?}", self.event).to_lowercase();
        write!(f, "ALERT: {a}.{b}.{c}.{d} : {:?} -> {event}", self.state)
    }
}

/// So many clients are served at once.
const LANES: u64 = 1000;

/// Each lane has so many events at a time: three or four clients one after the other, each from its beginning to its end.
const BLOCK: u64 = 12;

/// So many events, from a multiple of this number on, are whole clients.
pub const ROUND: u64 = LANES * BLOCK;

/// The event of a number. The same number always gives the same event, so nothing need be remembered to go on after a
/// failure. Of all events about `error_rate` are not allowed where they come.
pub fn event(number: u64, error_rate: f64) -> Event {
    let (round, within) = (number / ROUND, number % ROUND);
    let (lane, step) = (within % LANES, (within / LANES) as usize);
    script(round * LANES + lane, error_rate)[step]
}

/// How many of a block's events may be errors, so that the others make whole clients of three or four events.
const ERRORS: [u64; 10] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 12];

fn errors(block: u64, error_rate: f64) -> u64 {
    let wanted = error_rate.clamp(0.0, 1.0) * BLOCK as f64;
    let above = ERRORS.iter().position(|count| *count as f64 >= wanted).unwrap_or(ERRORS.len() - 1);
    let (high, low) = (ERRORS[above], ERRORS[above.saturating_sub(1)]);
    let chance = if high == low { 1.0 } else { (wanted - low as f64) / (high - low) as f64 };
    let roll = (random(block ^ 0xa5a5) >> 11) as f64 / (1_u64 << 53) as f64;
    if roll < chance { high } else { low }
}

/// All events of a block, in order.
fn script(block: u64, error_rate: f64) -> Vec<Event> {
    use EventType::{A, B, C, D, E, G};
    let mut errors = errors(block, error_rate);
    let mut events = Vec::with_capacity(BLOCK as usize);
    let mut client = 0;
    while (events.len() as u64) < BLOCK {
        let seed = random(block.wrapping_mul(31).wrapping_add(client));
        let (address, left) = ((seed >> 32) as u32, BLOCK - events.len() as u64 - errors);
        client += 1;
        // Clients of four events until what is left is so many times three; of twelve events, either will do.
        let of_three = left.is_multiple_of(3) && (left < 12 || block.is_multiple_of(2));
        let path: &[EventType] = match (left, of_three) {
            (0, _) => &[],
            (_, true) => &[C, D, G],
            _ if seed & 1 == 0 => &[A, B, E, G],
            _ => &[C, B, E, G],
        };
        // An error comes behind a client's first event, where nothing but one certain event or two are allowed.
        events.extend(path.iter().take(1).map(|kind| Event { address, kind: *kind }));
        if errors > 0 {
            errors -= 1;
            events.push(Event { address, kind: if path.is_empty() { G } else { A } });
        }
        events.extend(path.iter().skip(1).map(|kind| Event { address, kind: *kind }));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn alerts(count: u64, error_rate: f64) -> (u64, usize) {
        let (mut states, mut alerts) = (BTreeMap::new(), 0);
        for event in (0..count).map(|n| event(n, error_rate)) {
            let state = states.remove(&event.address).unwrap_or(State::Initial);
            match state.after(event.kind) {
                None => {
                    alerts += 1;
                    if state != State::Initial {
                        states.insert(event.address, state);
                    }
                }
                Some(State::Terminal) => {}
                Some(next) => drop(states.insert(event.address, next)),
            }
        }
        (alerts, states.len())
    }

    #[test]
    fn clients_follow_the_order_to_its_end_and_errors_are_as_frequent_as_asked() {
        let count = LANES * BLOCK * 20;
        assert_eq!(alerts(count, 0.0), (0, 0));
        for rate in [0.001, 0.05, 0.3, 0.6, 1.0] {
            let (alerts, unfinished) = alerts(count, rate);
            let found = alerts as f64 / count as f64;
            assert!((found - rate).abs() < 0.01 && unfinished == 0, "{rate}: {found}, {unfinished}");
        }
    }

    #[test]
    fn an_alert_reads_as_flinks() {
        let alert = Alert { address: 0x0102_03ff, state: State::X, event: EventType::G };
        assert_eq!(alert.to_string(), "ALERT: 1.2.3.255 : X -> g");
    }
}
