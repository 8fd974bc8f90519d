//! Where the cluster's services are: ResourceManager (with and without HA) and NameNode addresses.
//! Owns the rules of these keys and of token service names.

use super::{ConfError, HadoopConf, values};
use crate::rpc::{Address, Options};
use std::time::Duration;

const BAD_ADDRESS: &str = "host:port";

impl HadoopConf {
    /// Addresses of the ResourceManagers for clients (`yarn.resourcemanager.address`), one unless there is HA.
    ///
    /// # Errors
    /// When an address is malformed.
    pub fn resource_manager_addresses(&self) -> Result<Vec<Address>, ConfError> {
        self.resource_managers("yarn.resourcemanager.address", 8032)
    }

    /// Addresses of the ResourceManagers for masters (`yarn.resourcemanager.scheduler.address`).
    ///
    /// # Errors
    /// When an address is malformed.
    pub fn scheduler_addresses(&self) -> Result<Vec<Address>, ConfError> {
        self.resource_managers("yarn.resourcemanager.scheduler.address", 8030)
    }

    /// Addresses of the ResourceManagers' web pages (`yarn.resourcemanager.webapp.address`).
    ///
    /// # Errors
    /// When an address is malformed.
    pub fn web_addresses(&self) -> Result<Vec<Address>, ConfError> {
        self.resource_managers("yarn.resourcemanager.webapp.address", 8088)
    }

    /// Times and limits of connections (`ipc.client.*`, `ipc.ping.interval`, `ipc.maximum.response.length`).
    ///
    /// # Errors
    /// When a value is malformed.
    pub fn rpc_options(&self) -> Result<Options, ConfError> {
        let defaults = Options::default();
        let milliseconds = |key: &str, default| self.get_duration(key, default, Duration::from_millis(1));
        let call_timeout = milliseconds("ipc.client.rpc-timeout.ms", defaults.call_timeout)?;
        let limit = self.get_u64("ipc.maximum.response.length", defaults.max_response as u64)?;
        Ok(Options {
            connect_timeout: milliseconds("ipc.client.connect.timeout", defaults.connect_timeout)?,
            // 0 is "for ever" in Hadoop; here every call ends.
            call_timeout: if call_timeout.is_zero() { defaults.call_timeout } else { call_timeout },
            ping_interval: milliseconds("ipc.ping.interval", defaults.ping_interval)?,
            max_response: usize::try_from(limit).unwrap_or(usize::MAX),
            caller_context: None,
        })
    }

    fn resource_managers(&self, key: &str, port: u16) -> Result<Vec<Address>, ConfError> {
        let ids = self.get_list("yarn.resourcemanager.ha.rm-ids");
        if !self.get_bool("yarn.resourcemanager.ha.enabled", false) || ids.is_empty() {
            return Ok(vec![self.service(key, "yarn.resourcemanager.hostname", port)?]);
        }
        let of_id = |id: &String| {
            self.service(&format!("{key}.{id}"), &format!("yarn.resourcemanager.hostname.{id}"), port)
        };
        ids.iter().map(of_id).collect()
    }

    /// The address under `key`, else `port` on the host under `host_key`.
    fn service(&self, key: &str, host_key: &str, port: u16) -> Result<Address, ConfError> {
        if let Some(value) = self.get_trimmed(key) {
            let parsed = values::address(&value).map(|(host, port)| Address::new(host, port));
            return parsed.ok_or_else(|| self.bad(key, value, BAD_ADDRESS));
        }
        match self.get_trimmed(host_key).or_else(|| self.get_trimmed("yarn.resourcemanager.hostname")) {
            Some(host) => Ok(Address::new(host, port)),
            None => Err(self.bad(host_key, String::new(), "a host name")),
        }
    }

    /// Addresses of the NameNodes behind `authority`, the part of an `hdfs://` URL after the slashes: a name service of
    /// `dfs.nameservices`, or a host with or without port.
    ///
    /// # Errors
    /// When an address is malformed.
    pub fn name_node_addresses(&self, authority: &str) -> Result<Vec<Address>, ConfError> {
        let nodes = self.get_list(&format!("dfs.ha.namenodes.{authority}"));
        if nodes.is_empty() {
            let key = format!("dfs.namenode.rpc-address.{authority}");
            let text = self.get_trimmed(&key).unwrap_or_else(|| authority.to_owned());
            let address = values::address(&text).map(|(host, port)| Address::new(host, port));
            return Ok(vec![address.unwrap_or_else(|| Address::new(text, 8020))]);
        }
        let of_node = |node: &String| {
            let key = format!("dfs.namenode.rpc-address.{authority}.{node}");
            let value = self.get_trimmed(&key).unwrap_or_default();
            let parsed = values::address(&value).map(|(host, port)| Address::new(host, port));
            parsed.ok_or_else(|| self.bad(&key, value, BAD_ADDRESS))
        };
        nodes.iter().map(of_node).collect()
    }

    /// Whether `authority` is a name service of several NameNodes.
    pub fn is_name_service(&self, authority: &str) -> bool {
        !self.get_list(&format!("dfs.ha.namenodes.{authority}")).is_empty()
    }
}
