//! The daemons of the cluster, through `cluster.sh`, and what the active ResourceManager says.

use crate::cluster;
use crate::http::request_within;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a ResourceManager may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs `cluster.sh`; what it wrote.
///
/// # Errors
/// What it says.
pub fn script(arguments: &[&str]) -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster.sh");
    let ran = Command::new(&script).args(arguments).output().context("cluster.sh cannot be run")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !ran.status.success() {
        bail!("cluster.sh {}: {}{}", arguments.join(" "), text(&ran.stdout), text(&ran.stderr));
    }
    Ok(text(&ran.stdout))
}

/// The roles that there are: the first words of `cluster.sh status`.
pub fn roles() -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster.sh");
    // Its exit status is not 0 while something is down.
    let ran = Command::new(script).arg("status").output();
    let text = ran.map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect()
}

/// The role of the active ResourceManager.
pub fn active_resource_manager() -> Option<&'static str> {
    cluster::active_resource_manager().map(|(role, _)| role)
}

/// How much memory in MB the smallest node offers to containers.
///
/// # Errors
/// If no ResourceManager answers, or there is no node.
pub fn node_memory() -> Result<u64> {
    let answer = yarn("nodes?states=RUNNING").context("no ResourceManager tells of its nodes")?;
    let nodes = answer["nodes"]["node"].as_array().cloned().unwrap_or_default();
    let sum = |node: &Value| Some(node["usedMemoryMB"].as_u64()? + node["availMemoryMB"].as_u64()?);
    nodes.iter().filter_map(sum).min().context("there is no node that runs")
}

/// Whether a queue gets containers back that others have beyond their share.
pub fn preempts() -> bool {
    let setting = "yarn.resourcemanager.scheduler.monitor.enable";
    let Some((_, address)) = cluster::active_resource_manager() else { return false };
    match request_within("GET", &format!("{address}/conf?name={setting}"), None, PATIENCE) {
        Ok((200, body)) => {
            let answer: Value = serde_json::from_str(&body).unwrap_or_default();
            answer["property"]["value"] == "true"
        }
        _ => false,
    }
}

/// What YARN says at a path of its REST; nothing while no ResourceManager is active.
pub fn yarn(path: &str) -> Option<Value> {
    let (_, address) = cluster::active_resource_manager()?;
    match request_within("GET", &format!("{address}/ws/v1/cluster/{path}"), None, PATIENCE) {
        Ok((200, body)) => serde_json::from_str(&body).ok(),
        _ => None,
    }
}
