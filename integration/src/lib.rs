//! What the end-to-end tests and the benchmarks share: the distribution under test, the real cluster, and what YARN and
//! HDFS say of both. Everything is seen from outside: command lines, REST, processes.

pub mod chaos;
pub mod cluster;
pub mod command;
pub mod expect;
pub mod hdfs;
pub mod http;
pub mod process;
pub mod text;
pub mod wait;
pub mod words;
