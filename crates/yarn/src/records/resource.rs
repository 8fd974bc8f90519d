//! Memory, vcores and what else a container can have.

use crate::proto::yarn as pb;
use std::collections::BTreeMap;
use std::fmt;

/// Amounts of a cluster's resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// Memory, MiB.
    pub memory_mb: u64,
    /// Virtual cores.
    pub vcores: u32,
    /// Other resource types by name, as `yarn.io/gpu`.
    pub others: BTreeMap<String, u64>,
}

impl Resource {
    /// Memory in MiB and virtual cores.
    pub fn new(memory_mb: u64, vcores: u32) -> Self {
        Self { memory_mb, vcores, others: BTreeMap::new() }
    }

    /// Whether this much is within `limit` in every respect; a type that `limit` does not name has no limit.
    pub fn fits(&self, limit: &Self) -> bool {
        let other =
            |(name, amount): (&String, &u64)| limit.others.get(name).is_none_or(|limit| amount <= limit);
        self.memory_mb <= limit.memory_mb && self.vcores <= limit.vcores && self.others.iter().all(other)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} vcores", self.memory_mb, self.vcores)?;
        self.others.iter().try_for_each(|(name, amount)| write!(f, ", {name} {amount}"))
    }
}

impl From<&pb::Resource> for Resource {
    fn from(resource: &pb::Resource) -> Self {
        let others = resource
            .resource_value_map
            .iter()
            .filter(|entry| entry.key != "memory-mb" && entry.key != "vcores");
        Self {
            memory_mb: u64::try_from(resource.memory()).unwrap_or(0),
            vcores: u32::try_from(resource.virtual_cores()).unwrap_or(0),
            others: others
                .map(|entry| (entry.key.clone(), u64::try_from(entry.value()).unwrap_or(0)))
                .collect(),
        }
    }
}

impl From<&Resource> for pb::Resource {
    fn from(resource: &Resource) -> Self {
        let other = |(name, amount): (&String, &u64)| pb::ResourceInformation {
            key: name.clone(),
            value: Some(i64::try_from(*amount).unwrap_or(i64::MAX)),
            units: Some(String::new()),
            r#type: Some(0),
        };
        Self {
            memory: Some(i64::try_from(resource.memory_mb).unwrap_or(i64::MAX)),
            virtual_cores: Some(i32::try_from(resource.vcores).unwrap_or(i32::MAX)),
            resource_value_map: resource.others.iter().map(other).collect(),
        }
    }
}

/// A type of resource that containers of the cluster can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceType {
    /// Its name, as `memory-mb` or `yarn.io/gpu`.
    pub name: String,
    /// What it is counted in, as `Mi`; empty for plain numbers.
    pub units: String,
}

impl From<pb::ResourceTypeInfo> for ResourceType {
    fn from(info: pb::ResourceTypeInfo) -> Self {
        Self { units: info.units().to_owned(), name: info.name }
    }
}

/// An optional resource from the wire; absent is nothing.
pub(crate) fn from_wire(resource: Option<&pb::Resource>) -> Resource {
    resource.map(Resource::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_types_survive_the_wire_and_limit() {
        let mut asked = Resource::new(1024, 2);
        asked.others.insert("yarn.io/gpu".into(), 3);
        assert_eq!(Resource::from(&pb::Resource::from(&asked)), asked);
        let mut limit = Resource::new(1024, 2);
        assert!(asked.fits(&limit));
        limit.others.insert("yarn.io/gpu".into(), 2);
        assert!(!asked.fits(&limit));
    }
}
