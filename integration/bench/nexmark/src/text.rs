//! Result rows as lines: fields with commas between them, in the form in which [`crate::check`] compares them.

use crate::row::{OwnedAuction, OwnedBid};
use std::fmt::{self, Display, Write};

/// A row of a query's result.
pub trait Line {
    /// Writes the fields with commas between them.
    ///
    /// # Errors
    /// The writer's.
    fn write(&self, out: &mut dyn Write) -> fmt::Result;

    /// The whole line.
    fn line(&self) -> String {
        let mut text = String::with_capacity(64);
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }
}

/// Any single field.
pub trait Field: Display {}

macro_rules! fields {
    ($($type:ty),*) => { $(impl Field for $type {})* };
}
fields!(u64, i64, u32, u8, String, compact_str::CompactString, &str, Milli);

impl<F: Field> Line for F {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{self}")
    }
}

macro_rules! tuples {
    ($($first:ident $(, $name:ident)*;)*) => { $(
        impl<$first: Line $(, $name: Line)*> Line for ($first, $($name,)*) {
            #[allow(non_snake_case)]
            fn write(&self, out: &mut dyn Write) -> fmt::Result {
                let ($first, $($name,)*) = self;
                $first.write(out)?;
                $(out.write_char(',')?; $name.write(out)?;)*
                Ok(())
            }
        }
    )* };
}
tuples! {
    A;
    A, B;
    A, B, C;
    A, B, C, D;
    A, B, C, D, E;
    A, B, C, D, E, F;
    A, B, C, D, E, F, G;
    A, B, C, D, E, F, G, H;
}

impl Line for [u64] {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(at, value)| {
            out.write_str(if at == 0 { "" } else { "," })?;
            write!(out, "{value}")
        })
    }
}

impl<const N: usize> Line for [u64; N] {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        self.as_slice().write(out)
    }
}

impl Line for OwnedBid {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let OwnedBid { auction, bidder, price, channel, url, at, extra } = self;
        write!(out, "{auction},{bidder},{price},{channel},{url},{at},{extra}")
    }
}

impl Line for OwnedAuction {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let OwnedAuction { id, item, description, initial_bid, reserve, .. } = self;
        let OwnedAuction { at, expires, seller, category, extra, .. } = self;
        write!(
            out,
            "{id},{item},{description},{initial_bid},{reserve},{at},{expires},{seller},{category},{extra}"
        )
    }
}

/// A number of thousandths, written as SQL's `DECIMAL(…, 3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Milli(pub u64);

impl Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// The price in euros, of one in dollars: 0.908 times as much (queries 1 and 14).
pub fn euros(price: u64) -> Milli {
    Milli(price * 908)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_lines() {
        assert_eq!((1_u64, "a", (euros(1), [2_u64, 3])).line(), "1,a,0.908,2,3");
    }
}
