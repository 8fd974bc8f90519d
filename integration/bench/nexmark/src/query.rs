//! The queries: their names, what they read, and how their results are compared.

/// How a result is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Every row counts.
    Append,
    /// Of the rows with equal values in these columns the last one counts.
    Upsert(&'static [usize]),
    /// It depends on the clock: nothing to compare with.
    Clock,
}

/// A query of the benchmark.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    /// `q0` to `q22`.
    pub name: &'static str,
    /// What it asks, in a few words.
    pub about: &'static str,
    /// The tables it reads, without the side input.
    pub reads: &'static [&'static str],
    /// How its result is to be read.
    pub form: Form,
    /// The columns that the query determines; all, if there are none. (Of bids with equal prices or times, say, either may
    /// be the one that a system keeps.)
    pub determined: &'static [usize],
}

const BIDS: &[&str] = &["bid"];
const AUCTIONS_AND_BIDS: &[&str] = &["auction", "bid"];
const PERSONS_AND_AUCTIONS: &[&str] = &["person", "auction"];

const fn append(name: &'static str, reads: &'static [&'static str], about: &'static str) -> Query {
    Query { name, about, reads, form: Form::Append, determined: &[] }
}

const fn upsert(
    name: &'static str,
    reads: &'static [&'static str],
    about: &'static str,
    key: &'static [usize],
    determined: &'static [usize],
) -> Query {
    Query { name, about, reads, form: Form::Upsert(key), determined }
}

/// All but query 6, which Flink SQL cannot express (an OVER window on a stream of updates).
pub const QUERIES: [Query; 22] = [
    append("q0", BIDS, "pass through"),
    append("q1", BIDS, "currency"),
    append("q2", BIDS, "filter"),
    append("q3", PERSONS_AND_AUCTIONS, "join with filters"),
    upsert("q4", AUCTIONS_AND_BIDS, "average price by category", &[0], &[]),
    append("q5", BIDS, "hot items, sliding windows"),
    append("q7", BIDS, "highest bid, tumbling windows"),
    append("q8", PERSONS_AND_AUCTIONS, "new sellers, window join"),
    upsert("q9", AUCTIONS_AND_BIDS, "winning bids", &[0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13]),
    append("q10", BIDS, "log to files by minute"),
    append("q11", BIDS, "bids by session"),
    Query { name: "q12", about: "bids by processing time", reads: BIDS, form: Form::Clock, determined: &[] },
    append("q13", BIDS, "bounded side input"),
    append("q14", BIDS, "calculation"),
    upsert("q15", BIDS, "statistics of the day", &[0], &[]),
    upsert("q16", BIDS, "statistics by channel", &[0, 1], &[]),
    upsert("q17", BIDS, "statistics by auction", &[0, 1], &[]),
    upsert("q18", BIDS, "last bid", &[0, 1], &[0, 1, 5]),
    upsert("q19", BIDS, "ten highest bids of each auction", &[0, 7], &[0, 2, 7]),
    append("q20", AUCTIONS_AND_BIDS, "bids with their auctions"),
    append("q21", BIDS, "channel ids"),
    append("q22", BIDS, "directories of the URL"),
];

/// The query of a name.
pub fn named(name: &str) -> Option<&'static Query> {
    QUERIES.iter().find(|query| query.name == name)
}
