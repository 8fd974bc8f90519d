//! Keyed state: tables of values by key and namespace, the handles by which functions reach them, and their errors.
//!
//! Everything belongs to one operator in one subtask and is used by its thread alone. What a snapshot needs is shared with
//! the thread that writes it, segment by segment (`segments`); nothing here writes files.
//!
//! Reading order: `keyed` → `segments` → `table`, `map_table` → `backend` → `keyed_states`, `handles` → `expiring`, `sweep`.

mod any_table;
mod backend;
mod descriptors;
mod error;
mod every_key;
mod expiring;
mod handles;
mod hash_state;
mod keyed;
mod keyed_states;
mod map_table;
pub mod schema;
pub(crate) mod segment;
pub(crate) mod segments;
pub mod store;
mod sweep;
mod table;
mod ttl;
pub(crate) mod user_map;
mod windowed;

pub use backend::{BackendKind, KeyedBackend, TableSpec};
pub use descriptors::{
    AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor,
    ValueStateDescriptor,
};
pub use error::StateError;
pub(crate) use error::schema_failed;
pub use every_key::EveryKey;
pub use handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
pub use hash_state::HashState;
pub use keyed::Keyed;
pub use keyed_states::{KeyedStates, StateAccess};
pub(crate) use map_table::Inner as MapInner;
pub use map_table::MapTable;
pub(crate) use table::Inner as TableInner;
pub use table::Table;
pub use ttl::{StateTtl, StateTtlConfig, StateVisibility, TtlUpdate};
pub use windowed::{WindowState, WindowStateAccess};
