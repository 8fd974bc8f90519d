//! What YARN and HDFS say, and what is left on the machine.

use crate::command::{fs, required};
use crate::hdfs::HdfsDir;
use crate::http::{json, request, request_within};
use crate::wait::until;
use serde_json::Value;
use std::time::Duration;

/// How long a ResourceManager may take to say whether it is active.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long YARN may take to end something.
const LIMIT: Duration = Duration::from_secs(90);

/// The addresses of the ResourceManagers' web pages, each with its role. There may be one only.
fn resource_managers() -> [(&'static str, String); 2] {
    let first = required("KVICK_RESOURCEMANAGER_WEB");
    let second = first.replace("127.0.0.1", "127.0.0.2");
    [("resourcemanager", first), ("resourcemanager2", second)]
}

/// The role and the address of the ResourceManager that is active, if one is.
pub fn active_resource_manager() -> Option<(&'static str, String)> {
    let is_active = |address: &str| {
        let answer = request_within("GET", &format!("{address}/ws/v1/cluster/info"), None, PATIENCE);
        let Ok((200, body)) = answer else { return false };
        let info: Value = serde_json::from_str(&body).unwrap_or_default();
        info["clusterInfo"]["haState"] == "ACTIVE"
    };
    resource_managers().into_iter().find(|(_, address)| is_active(address))
}

/// The active ResourceManager's REST API; that of the first while none is.
fn rm(path: &str) -> String {
    let address = active_resource_manager().map(|(_, address)| address);
    let address = address.unwrap_or_else(|| required("KVICK_RESOURCEMANAGER_WEB"));
    format!("{address}/ws/v1/cluster/{path}")
}

/// YARN's record of an application.
#[track_caller]
pub fn application(id: &str) -> Value {
    json(&rm(&format!("apps/{id}")))["app"].clone()
}

/// The ids of applications in these states (`RUNNING,ACCEPTED`).
pub fn applications(states: &str) -> Vec<String> {
    let answer = json(&rm(&format!("apps?states={states}")));
    let apps = answer["apps"]["app"].as_array().cloned().unwrap_or_default();
    apps.iter().filter_map(|app| app["id"].as_str().map(str::to_string)).collect()
}

/// YARN's record of an application's current attempt; null where there is none yet.
fn attempt(id: &str) -> Value {
    let attempts = json(&rm(&format!("apps/{id}/appattempts")));
    let attempts = attempts["appAttempts"]["appAttempt"].as_array().cloned().unwrap_or_default();
    attempts.last().cloned().unwrap_or_default()
}

/// The containers of an attempt of a running application, the master's among them.
fn containers(id: &str, attempt: &Value) -> Vec<Value> {
    let Some(attempt) = attempt["appAttemptId"].as_str() else { return Vec::new() };
    let url = rm(&format!("apps/{id}/appattempts/{attempt}/containers"));
    // An attempt that has just ended has no containers to tell of: an error to the ResourceManager.
    let Ok((200, body)) = request("GET", &url, None) else { return Vec::new() };
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    answer["container"].as_array().cloned().unwrap_or_default()
}

/// The sizes in MB of the containers of a running application's current attempt, largest first.
pub fn container_sizes(id: &str) -> Vec<u64> {
    let size = |c: &Value| c["allocatedMB"].as_u64().or_else(|| c["allocatedMB"].as_str()?.parse().ok());
    let mut sizes: Vec<u64> = containers(id, &attempt(id)).iter().filter_map(size).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// The nodes that run an application's containers, that of its master excepted.
pub fn container_nodes(id: &str) -> Vec<String> {
    let attempt = attempt(id);
    // Its number tells nothing: a ResourceManager that was restarted begins to count anew.
    let is_master = |container: &Value| container["containerId"] == attempt["containerId"];
    let workers = containers(id, &attempt).into_iter().filter(|container| !is_master(container));
    workers.filter_map(|c| c["nodeId"].as_str().map(str::to_string)).collect()
}

/// Waits until YARN says that an application has ended; returns its record.
#[track_caller]
pub fn ended(id: &str) -> Value {
    until(&format!("the end of {id}"), LIMIT, || {
        let app = application(id);
        let over = matches!(app["state"].as_str(), Some("FINISHED" | "FAILED" | "KILLED"));
        over.then_some(app)
    })
}

/// Kills an application, waits until it is gone, and clears away what it cannot clear away itself.
pub fn kill(id: &str) {
    let url = format!("{}?user.name={}", rm(&format!("apps/{id}/state")), user());
    let _ = request("PUT", &url, Some("{\"state\":\"KILLED\"}"));
    ended(id);
    fs(&["rm", &format!(".flink/{id}")]);
}

/// The user as whom everything runs.
pub fn user() -> String {
    std::env::var("HADOOP_USER_NAME")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "root".to_string())
}

/// The address of an application's REST API, from YARN's record: its port is registered as that of the master's RPC.
#[track_caller]
pub fn rest(id: &str) -> String {
    let record = application(id);
    let address = record["amRPCAddress"].as_str();
    format!("http://{}", address.unwrap_or_else(|| panic!("{id} has no address: {record:#}")))
}

/// An application that is killed, if it still lives, when this goes out of scope: a failed test leaves none behind.
pub struct KilledAtEnd(pub String);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        if applications("NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING").contains(&self.0) {
            kill(&self.0);
        }
    }
}

/// Asserts that an application left nothing: no process, no container, no staging directory, in which the records for its next
/// master are too unless a test puts them elsewhere.
#[track_caller]
pub fn nothing_left(id: &str) {
    let gone = || processes(id).is_empty().then_some(());
    until(&format!("the last process of {id}"), LIMIT, gone);
    let staging = fs(&["ls", &format!(".flink/{id}")]);
    assert_ne!(staging.code, 0, "the staging directory of {id} is still there:\n{}", staging.out);
}

/// Asserts that jobs which have ended left nothing of their checkpoints below a directory that was theirs; to be asked when their
/// applications are gone, so that nobody can be at it still.
#[track_caller]
pub fn no_checkpoint_left(dir: &HdfsDir, name: &str) {
    let left = dir.files(name);
    assert!(left.is_empty(), "{} files of checkpoints are still there:\n{}", left.len(), left.join("\n"));
}

/// Processes whose environment names an application's containers.
pub fn processes(id: &str) -> Vec<u32> {
    let needle = id.trim_start_matches("application_").to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&environment);
        text.split('\0').any(|v| v.starts_with("CONTAINER_ID=") && v.contains(&needle))
    })
    .collect()
}
