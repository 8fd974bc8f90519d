//! What the states of a function have in common, whatever their types.

use super::{MapTable, StateError, Table};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::OperatorSnapshot;
use std::any::Any;

/// A table of any type.
pub(super) trait AnyTable: Any + Send {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError>;
    fn as_any(&mut self) -> &mut dyn Any;
    /// Removes everything.
    fn clear(&mut self) -> Result<(), StateError>;
    /// Visits the key of every entry; those of one key come one behind the other. What has expired may be among them.
    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError>;
    /// Removes some of what has expired.
    fn sweep(&mut self, _now: i64) -> Result<(), StateError> {
        Ok(())
    }
    /// Whether its values belong to windows.
    fn is_by_window(&self) -> bool {
        false
    }
    /// A window of a key is over: a [`Keyed`] and a window.
    fn end_window(&mut self, _key: &dyn Any, _window: &dyn Any) -> Result<(), StateError> {
        Ok(())
    }
}

impl<K: Key, V: Data> AnyTable for Table<K, (), V> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.table(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn clear(&mut self) -> Result<(), StateError> {
        self.clear_all()
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError> {
        self.for_each(|key, (), _| visit(key))
    }
}

impl<K: Key, UK: Namespace, UV: Data> AnyTable for MapTable<K, (), UK, UV> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.map_table(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn clear(&mut self) -> Result<(), StateError> {
        self.clear_all()
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError> {
        self.for_each(|key, (), _, _| visit(key))
    }
}
