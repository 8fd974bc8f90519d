//! The master's protocol and the NodeManagers', by masters that run in this process (unmanaged).

use crate::support::{PATIENCE, active, conf, shell, unmanaged, unmanaged_keeping, wait, yarn};
use anyhow::{Context, bail, ensure};
use kvick_yarn::am::{AmClient, AmConfig, AmError, AmEvent, AmEvents, NodeHint, Wanted};
use kvick_yarn::credentials::{AM_RM_TOKEN, Credentials, Token};
use kvick_yarn::nm::NmClients;
use kvick_yarn::records::{Container, ContainerState, FinalStatus, NodeState, Resource, exit_status};
use kvick_yarn::rpc::{Connection, Identity, Options};
use std::time::{Duration, Instant};

pub async fn next(events: &mut AmEvents) -> anyhow::Result<AmEvent> {
    let event =
        tokio::time::timeout(PATIENCE, events.recv()).await.context("no event for a minute and a half")?;
    event.context("the heartbeats ended")
}

pub async fn grants(events: &mut AmEvents, count: usize) -> anyhow::Result<Vec<Container>> {
    let mut granted = Vec::new();
    while granted.len() < count {
        match next(events).await? {
            AmEvent::Allocated(container) => granted.push(container),
            AmEvent::ShutdownRequested { reason } | AmEvent::RequestRejected { reason, .. } => {
                bail!(reason)
            }
            _ => {}
        }
    }
    Ok(granted)
}

pub async fn end_of(events: &mut AmEvents, container: &Container) -> anyhow::Result<i32> {
    loop {
        if let AmEvent::Completed(status) = next(events).await?
            && status.id == container.id
        {
            return Ok(status.exit_status);
        }
    }
}

pub async fn wanted(count: u32) -> anyhow::Result<Wanted> {
    let nodes = yarn()?.nodes(&[NodeState::Running]).await?;
    let nodes = nodes.into_iter().map(|node| NodeHint { host: node.id.host, rack: node.rack }).collect();
    Ok(Wanted { priority: 3, resource: Resource::new(256, 1), count, nodes, label: None })
}

pub async fn register(credentials: &Credentials) -> Result<(AmClient, AmEvents), AmError> {
    let config = AmConfig {
        host: "localhost".into(),
        idle_interval: Duration::from_millis(100),
        ..AmConfig::default()
    };
    AmClient::register(&conf().map_err(|error| AmError::Conf(error.to_string()))?, credentials, config).await
}

pub async fn containers_from_grant_to_end() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (id, credentials) = unmanaged(&yarn).await?;
    let (master, mut events) = register(&credentials).await?;
    ensure!(
        master.registration().max_resource.memory_mb >= 1024
            && master.registration().queue.ends_with("default")
    );
    let wanted = wanted(4).await?;
    let begun = Instant::now();
    master.set_wanted(wanted.clone());
    let granted = grants(&mut events, 4).await?;
    ensure!(begun.elapsed() < PATIENCE / 3, "four named containers took {:?}", begun.elapsed());
    master.set_wanted(Wanted { count: 0, ..wanted });
    let nodes = NmClients::new(master.nm_tokens().clone(), PATIENCE);
    let commands = ["exit 7", "exec sleep 600", "exec sleep 600"];
    let starts = || granted.iter().cloned().zip(commands.map(shell)).collect::<Vec<_>>();
    for (id, outcome) in nodes.start(starts()).await {
        outcome.with_context(|| id.to_string())?;
    }
    for (id, outcome) in nodes.start(vec![starts().swap_remove(1)]).await {
        outcome.with_context(|| format!("{id} was started twice, which counts as started"))?;
    }
    ensure!(end_of(&mut events, &granted[0]).await? == 7);
    let (_, status) = nodes.statuses(&granted[1].node_id, &[granted[1].id]).await.remove(0);
    ensure!(matches!(status?.state, ContainerState::Running | ContainerState::New));
    let (_, status) = nodes.statuses(&granted[3].node_id, &[granted[3].id]).await.remove(0);
    ensure!(
        status
            .err()
            .context("it was never started")?
            .to_string()
            .contains("is not handled by this NodeManager")
    );
    let (_, stopped) = nodes.stop(&granted[1].node_id, &[granted[1].id]).await.remove(0);
    stopped?;
    ensure!(end_of(&mut events, &granted[1]).await? == exit_status::STOPPED_BY_MASTER);
    master.release(granted[2].id);
    master.release(granted[3].id);
    ensure!(end_of(&mut events, &granted[3]).await? == exit_status::ABORTED);
    master.finish(FinalStatus::Succeeded, "all well", "").await?;
    let report = wait(&yarn, id, |report| report.state.is_terminal()).await?;
    ensure!(
        report.final_status == FinalStatus::Succeeded && report.diagnostics.contains("all well"),
        "{report:?}"
    );
    check_protection(&credentials).await
}

/// The scheduler's connection is protected when the cluster says so.
async fn check_protection(credentials: &Credentials) -> anyhow::Result<()> {
    let conf = conf()?;
    let token = credentials.token_of_kind(AM_RM_TOKEN).context("no token")?.clone();
    let address = &active(&conf)?;
    let by_token = yarn()?.delegation_token("yarn", &conf).await?;
    let protocol = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB";
    let connection =
        Connection::open(address, protocol, &Identity::token(by_token), &Options::default()).await?;
    let expected = conf.get_or("hadoop.rpc.protection", "authentication") != "authentication";
    ensure!(connection.is_protected() == expected, "protected: {}, {token:?}", connection.is_protected());
    Ok(())
}

pub async fn too_large_requests_are_rejected() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (_, credentials) = unmanaged(&yarn).await?;
    let (master, mut events) = register(&credentials).await?;
    let max = &master.registration().max_resource;
    let resource = Resource::new(max.memory_mb * 2, 1);
    master.set_wanted(Wanted { resource, ..wanted(1).await? });
    let AmEvent::RequestRejected { priorities, reason } = next(&mut events).await? else {
        bail!("another event came first")
    };
    ensure!(priorities == [3] && reason.contains("memory"), "{reason}");
    master.set_wanted(wanted(1).await?);
    grants(&mut events, 1).await.context("a good request after a bad one")?;
    Ok(master.finish(FinalStatus::Succeeded, "", "").await?)
}

pub async fn a_forged_token_is_refused() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (id, credentials) = unmanaged(&yarn).await?;
    let token = credentials.token_of_kind(AM_RM_TOKEN).context("no token")?.clone();
    let mut forged = Credentials::new();
    forged.add_token("", Token { password: vec![0; 20].into(), ..token });
    let conf = conf()?;
    let config = AmConfig { expiry: Duration::from_secs(1), ..AmConfig::default() };
    let error =
        AmClient::register(&conf, &forged, config).await.err().context("a forged token was accepted")?;
    ensure!(matches!(error, AmError::Over(_)), "{error}");
    Ok(yarn.kill(id, "test over").await?)
}

pub async fn a_killed_attempt_is_over() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (id, credentials) = unmanaged(&yarn).await?;
    let (_master, mut events) = register(&credentials).await?;
    yarn.kill(id, "test").await?;
    loop {
        if let AmEvent::ShutdownRequested { reason } = next(&mut events).await? {
            ensure!(reason.contains("doesn't exist in ApplicationMasterService cache"), "{reason}");
            return Ok(());
        }
    }
}

/// An unmanaged master that keeps containers may register again, as a new attempt does.
pub async fn a_new_master_finds_the_old_ones_containers() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (_, credentials) = unmanaged_keeping(&yarn, true).await?;
    let (master, mut events) = register(&credentials).await?;
    master.set_wanted(wanted(2).await?);
    let granted = grants(&mut events, 2).await?;
    let nodes = NmClients::new(master.nm_tokens().clone(), PATIENCE);
    let starts = granted.iter().map(|one| (one.clone(), shell("exec sleep 600"))).collect();
    for (_, outcome) in nodes.start(starts).await {
        outcome?;
    }
    drop((master, events));
    let (master, mut events) = register(&credentials).await?;
    let mut found = Vec::new();
    while found.len() < 2 {
        if let AmEvent::PreviousContainers(containers) = next(&mut events).await? {
            found.extend(containers);
        }
    }
    ensure!(found.iter().all(|one| granted.iter().any(|old| old.id == one.id)), "{found:?}");
    let nodes = NmClients::new(master.nm_tokens().clone(), PATIENCE);
    for one in &found {
        let (_, status) = nodes.statuses(&one.node_id, &[one.id]).await.remove(0);
        status.context("the old container by the new token")?;
    }
    // They count as held: one more wanted is one more granted.
    master.set_wanted(wanted(3).await?);
    grants(&mut events, 1).await?;
    Ok(master.finish(FinalStatus::Succeeded, "", "").await?)
}

/// The ResourceManager restarts under a master with running containers.
pub async fn restart() -> anyhow::Result<()> {
    let command = std::env::var("KVICK_RESTART_RM")?;
    let yarn = yarn()?;
    let (id, credentials) = unmanaged(&yarn).await?;
    let (master, mut events) = register(&credentials).await?;
    let shape = wanted(2).await?;
    master.set_wanted(shape.clone());
    let granted = grants(&mut events, 2).await?;
    let nodes = NmClients::new(master.nm_tokens().clone(), PATIENCE);
    for (_, outcome) in
        nodes.start(granted.iter().map(|one| (one.clone(), shell("exec sleep 600"))).collect()).await
    {
        outcome?;
    }
    let status = tokio::process::Command::new("sh").arg("-c").arg(&command).status().await?;
    ensure!(status.success(), "{command}: {status}");
    master.set_wanted(Wanted { count: 3, ..shape });
    let mut reregistered = false;
    loop {
        match next(&mut events).await? {
            AmEvent::Reregistered => reregistered = true,
            AmEvent::Allocated(third) => {
                ensure!(reregistered && granted.iter().all(|one| one.id != third.id));
                ensure!(third.id.epoch() > granted[0].id.epoch(), "{}", third.id);
                break;
            }
            AmEvent::Completed(status) => bail!("{} ended: {}", status.id, status.diagnostics),
            AmEvent::ShutdownRequested { reason } => bail!(reason),
            _ => {}
        }
    }
    let (_, status) = nodes.statuses(&granted[0].node_id, &[granted[0].id]).await.remove(0);
    ensure!(status?.state == ContainerState::Running, "a container did not survive");
    master.finish(FinalStatus::Succeeded, "survived", "").await?;
    wait(&yarn, id, |report| report.final_status == FinalStatus::Succeeded).await?;
    Ok(())
}
