//! The daemons of the cluster, through `cluster.sh`, and what the active ResourceManager says.

use crate::command::required;
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
pub fn cluster(arguments: &[&str]) -> Result<String> {
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

/// The addresses of the ResourceManagers' REST, each with its role.
fn resource_managers() -> [(&'static str, String); 2] {
    let first = required("KVICK_RESOURCEMANAGER_WEB");
    let second = first.replace("127.0.0.1", "127.0.0.2");
    [("resourcemanager", first), ("resourcemanager2", second)]
}

fn ask(address: &str, path: &str) -> Option<Value> {
    let url = format!("{address}/ws/v1/cluster/{path}");
    match request_within("GET", &url, None, PATIENCE) {
        Ok((200, body)) => serde_json::from_str(&body).ok(),
        _ => None,
    }
}

/// The active ResourceManager: its role and its address.
fn active() -> Option<(&'static str, String)> {
    let is_active = |address: &str| {
        ask(address, "info").is_some_and(|answer| answer["clusterInfo"]["haState"] == "ACTIVE")
    };
    resource_managers().into_iter().find(|(_, address)| is_active(address))
}

/// The role of the active ResourceManager.
pub fn active_resource_manager() -> Option<&'static str> {
    active().map(|(role, _)| role)
}

/// What YARN says at a path of its REST; nothing while no ResourceManager is active.
pub fn yarn(path: &str) -> Option<Value> {
    ask(&active()?.1, path)
}
