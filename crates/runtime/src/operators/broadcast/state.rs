//! The maps that are the same in every subtask: one, or several of their own types.

use crate::element::{Data, Namespace};
use crate::error::TaskResult;
use crate::snapshot::OperatorSnapshot;
use crate::state::MapStateDescriptor;
use crate::task::TaskContext;
use kvick_core::checkpoint::Redistribution;
use std::collections::BTreeMap;

/// A map that is the same in every subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastState<UK, UV> {
    name: String,
    entries: BTreeMap<UK, UV>,
}

impl<UK: Ord, UV> BroadcastState<UK, UV> {
    /// The value of a key.
    pub fn get(&self, key: &UK) -> Option<&UV> {
        self.entries.get(key)
    }

    /// Whether there is a key.
    pub fn contains(&self, key: &UK) -> bool {
        self.entries.contains_key(key)
    }

    /// All entries, in order of the keys.
    #[doc(alias = "immutableEntries")]
    pub fn entries(&self) -> impl Iterator<Item = (&UK, &UV)> {
        self.entries.iter()
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: UK, value: UV) {
        self.entries.insert(key, value);
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &UK) -> Option<UV> {
        self.entries.remove(key)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// What a broadcast stream fills: one [`BroadcastState`], or a tuple of up to four.
pub trait BroadcastStates: Clone + Send + 'static {
    /// The names of the states.
    fn names(&self) -> Vec<&str>;

    /// Takes over what a snapshot has.
    ///
    /// # Errors
    /// It cannot be read.
    fn restore(&mut self, context: &TaskContext) -> TaskResult;

    /// Hands the states over to a snapshot.
    ///
    /// # Errors
    /// They cannot be written.
    fn snapshot(&self, snapshot: &mut OperatorSnapshot) -> TaskResult;
}

impl<UK: Namespace, UV: Data> BroadcastStates for BroadcastState<UK, UV> {
    fn names(&self) -> Vec<&str> {
        vec![&self.name]
    }

    fn restore(&mut self, context: &TaskContext) -> TaskResult {
        let entries: Vec<(UK, UV)> = context.restored_list(&self.name)?;
        self.entries = entries.into_iter().collect();
        Ok(())
    }

    fn snapshot(&self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let entries: Vec<(UK, UV)> = self.entries.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(snapshot.list(&self.name, Redistribution::Broadcast, &entries)?)
    }
}

/// What describes the states that a broadcast stream fills: a [`MapStateDescriptor`], or a tuple of up to four.
pub trait BroadcastDescriptors {
    /// The states.
    type States: BroadcastStates;

    /// The states, with nothing in them.
    fn states(&self) -> Self::States;
}

impl<UK: Namespace, UV: Data> BroadcastDescriptors for &MapStateDescriptor<UK, UV> {
    type States = BroadcastState<UK, UV>;

    fn states(&self) -> BroadcastState<UK, UV> {
        BroadcastState { name: self.name().to_string(), entries: BTreeMap::new() }
    }
}

macro_rules! several {
    ($($name:ident $index:tt),+) => {
        impl<$($name: BroadcastStates),+> BroadcastStates for ($($name,)+) {
            fn names(&self) -> Vec<&str> {
                [$(self.$index.names()),+].concat()
            }

            fn restore(&mut self, context: &TaskContext) -> TaskResult {
                $(self.$index.restore(context)?;)+
                Ok(())
            }

            fn snapshot(&self, snapshot: &mut OperatorSnapshot) -> TaskResult {
                $(self.$index.snapshot(snapshot)?;)+
                Ok(())
            }
        }

        impl<$($name: BroadcastDescriptors),+> BroadcastDescriptors for ($($name,)+) {
            type States = ($($name::States,)+);

            fn states(&self) -> Self::States {
                ($(self.$index.states(),)+)
            }
        }
    };
}

several!(A 0, B 1);
several!(A 0, B 1, C 2);
several!(A 0, B 1, C 2, D 3);
