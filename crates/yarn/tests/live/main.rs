//! Tests against a real cluster: `KVICK_LIVE=1 HADOOP_CONF_DIR=… cargo test -p kvick-yarn --test live [NAME…]`.
//! Without `KVICK_LIVE=1` every one of them says that it was skipped. `restart` also needs
//! `KVICK_RESTART_RM`, a command that restarts the ResourceManager, and is skipped without. On a cluster with two
//! ResourceManagers the command can as well make the other one active (`yarn rmadmin -transitionToStandby rm1 &&
//! yarn rmadmin -transitionToActive rm2`): to a master both are the same.

mod changes;
mod client;
mod master;
mod support;

use futures::future::{BoxFuture, FutureExt};
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Test = (&'static str, fn() -> BoxFuture<'static, anyhow::Result<()>>);

const TESTS: &[Test] = &[
    ("nodes_metrics_and_queues", || client::nodes_metrics_and_queues().boxed()),
    ("profiles_labels_and_permissions", || client::profiles_labels_and_permissions().boxed()),
    ("submit_report_kill", || client::submit_report_kill().boxed()),
    ("bad_submissions_say_why", || client::bad_submissions_say_why().boxed()),
    ("dead_addresses_are_passed_over", || client::dead_addresses_are_passed_over().boxed()),
    ("giving_up_is_timely", || client::giving_up_is_timely().boxed()),
    ("a_web_port_is_no_rpc_port", || client::a_web_port_is_no_rpc_port().boxed()),
    ("delegation_tokens", || client::delegation_tokens().boxed()),
    ("containers_from_grant_to_end", || master::containers_from_grant_to_end().boxed()),
    ("containers_are_resized", || changes::containers_are_resized().boxed()),
    ("running_containers_are_changed", || changes::running_containers_are_changed().boxed()),
    ("too_large_requests_are_rejected", || master::too_large_requests_are_rejected().boxed()),
    ("a_forged_token_is_refused", || master::a_forged_token_is_refused().boxed()),
    ("a_killed_attempt_is_over", || master::a_killed_attempt_is_over().boxed()),
    ("a_new_master_finds_the_old_ones_containers", || {
        master::a_new_master_finds_the_old_ones_containers().boxed()
    }),
    ("restart", || master::restart().boxed()),
];

/// Longest that one test may take.
const LIMIT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let selected = TESTS
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str())));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .try_init();
    let failed = selected.filter(|(name, test)| !run(name, *test)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a test lacks to be run.
fn lacking(name: &str) -> Option<&'static str> {
    if std::env::var("KVICK_LIVE").as_deref() != Ok("1") {
        return Some("needs a cluster, KVICK_LIVE=1 and HADOOP_CONF_DIR");
    }
    let restarts = name == "restart" && std::env::var_os("KVICK_RESTART_RM").is_none();
    restarts.then_some(
        "needs KVICK_RESTART_RM, a command that restarts the ResourceManager or has another one take over",
    )
}

/// Whether a test passed or could not be run.
fn run(name: &str, test: fn() -> BoxFuture<'static, anyhow::Result<()>>) -> bool {
    if let Some(reason) = lacking(name) {
        println!("live {name} ... SKIPPED: {reason}");
        return true;
    }
    let begun = Instant::now();
    let outcome = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async { tokio::time::timeout(LIMIT, test()).await.map_err(anyhow::Error::from)? })
    });
    match &outcome {
        Ok(()) => println!("live {name} ... ok ({} ms)", begun.elapsed().as_millis()),
        Err(error) => println!("live {name} ... FAILED: {error:#}"),
    }
    outcome.is_ok()
}
