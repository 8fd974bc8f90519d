//! Changes to containers that run: resources, signals, files, another program.

use crate::master::{end_of, grants, register, wanted};
use crate::support::{PATIENCE, shell, unmanaged, yarn};
use anyhow::{Context, bail, ensure};
use kvick_yarn::am::{ContainerUpdate, Wanted};
use kvick_yarn::nm::NmClients;
use kvick_yarn::records::{
    Container, FinalStatus, LaunchContext, LocalResource, LocalResourceType, Resource, Signal, Visibility,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

async fn start(nodes: &NmClients, container: &Container, context: LaunchContext) -> anyhow::Result<()> {
    let (_, outcome) = nodes.start(vec![(container.clone(), context)]).await.remove(0);
    Ok(outcome?)
}

/// Waits until a container has made a file.
async fn made(path: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !path.exists() {
        ensure!(begun.elapsed() < PATIENCE, "{} was not made", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub async fn containers_are_resized() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (_, credentials) = unmanaged(&yarn).await?;
    let (master, mut events) = register(&credentials).await?;
    master.set_wanted(wanted(1).await?);
    let container = grants(&mut events, 1).await?.remove(0);
    let nodes = NmClients::new(master.nm_tokens().clone(), PATIENCE);
    start(&nodes, &container, shell("exec sleep 600")).await?;
    running(&nodes, &container).await?;
    let larger = Resource::new(container.resource.memory_mb * 2, 1);
    let update = master.update_container(&container, ContainerUpdate::Increase(larger.clone()));
    let changed = tokio::time::timeout(PATIENCE, update).await.context("no answer")??;
    ensure!(changed.resource == larger && changed.version == container.version + 1, "{changed:?}");
    let (_, told) = nodes.update(&container.node_id, std::slice::from_ref(&changed)).await.remove(0);
    told.context("the NodeManager")?;
    ensure!(yarn.container(container.id).await?.resource == larger);
    let wrong = master.update_container(&container, ContainerUpdate::Decrease(container.resource.clone()));
    let refused = wrong.await.err().context("a change of an old version was accepted")?;
    ensure!(refused.reason.contains("VERSION"), "{refused}");
    Ok(master.finish(FinalStatus::Succeeded, "", "").await?)
}

/// Waits until a container runs: only then does its NodeManager change it.
async fn running(nodes: &NmClients, container: &Container) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let (_, status) = nodes.statuses(&container.node_id, &[container.id]).await.remove(0);
        if status?.state == kvick_yarn::records::ContainerState::Running {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{} does not run", container.id);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn running_containers_are_changed() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (_, credentials) = unmanaged(&yarn).await?;
    let (master, mut events) = register(&credentials).await?;
    let shape = wanted(2).await?;
    master.set_wanted(shape.clone());
    let granted = grants(&mut events, 2).await?;
    master.set_wanted(Wanted { count: 0, ..shape });
    let [first, second] = &granted[..] else { bail!("{granted:?}") };
    let nodes = NmClients::new(master.nm_tokens().clone(), PATIENCE);
    let dir = tempfile::tempdir()?;
    let marks = ["ready", "file", "again"].map(|name| dir.path().join(name));
    let [ready, file, again] = &marks;
    let wait = format!(
        "trap 'exit 9' TERM; touch {}; while [ ! -s news ]; do sleep 0.1; done; touch {}; while :; do sleep 0.1; done",
        ready.display(),
        file.display()
    );
    start(&nodes, first, shell(&wait)).await?;
    start(&nodes, second, shell("exec sleep 600")).await?;
    made(ready).await?;
    running(&nodes, first).await?;
    nodes.localize(&first.node_id, first.id, &news(dir.path())?).await?;
    made(file).await.context("the file did not come")?;
    running(&nodes, second).await?;
    let context = shell(&format!("touch {}; exit 11", again.display()));
    nodes.reinitialize(&second.node_id, second.id, &context).await?;
    made(again).await.context("the other program did not start")?;
    ensure!(end_of(&mut events, second).await? == 11);
    nodes.signal(&first.node_id, first.id, Signal::Graceful).await?;
    ensure!(end_of(&mut events, first).await? == 9, "it did not end by its own handler");
    Ok(master.finish(FinalStatus::Succeeded, "", "").await?)
}

/// A file that a container may be given under the name `news`.
fn news(dir: &Path) -> anyhow::Result<BTreeMap<String, LocalResource>> {
    let path = dir.join("source");
    std::fs::write(&path, "something")?;
    let written = std::fs::metadata(&path)?.modified()?.duration_since(UNIX_EPOCH)?;
    let resource = LocalResource {
        url: format!("file://{}", path.display()),
        size: 9,
        timestamp: written.as_millis().try_into()?,
        kind: LocalResourceType::File,
        visibility: Visibility::Application,
    };
    Ok(BTreeMap::from([("news".to_owned(), resource)]))
}
