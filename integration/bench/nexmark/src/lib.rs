//! Nexmark: the model of an auction house (people, auctions, bids), its generator, and what the programs under test share.
//!
//! Owns the rows and how they are read and written as CSV, and an independent computation of each query's result. Knows
//! none of the systems that are measured; those are driven by the program beside it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod check;
pub mod expect;
pub mod files;
pub mod functions;
pub mod generator;
pub mod query;
pub mod random;
pub mod row;
pub mod text;
pub mod time;
