//! The ResourceManager's client protocol, and what failing looks like.

use crate::support::{PATIENCE, active, conf, listening, shell, wait, yarn};
use anyhow::{Context, ensure};
use kvick_yarn::client::{
    YarnClient, cancel_hdfs_delegation_token, hdfs_delegation_tokens, renew_hdfs_delegation_token,
};
use kvick_yarn::credentials::Credentials;
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{
    ApplicationFilter, ApplicationState, LocalResource, LocalResourceType, NodeState, Resource,
    SubmissionContext, Visibility,
};
use kvick_yarn::rpc::current_user;
use std::time::{Duration, Instant, SystemTime};

/// Longer than anything takes for which nobody is waited for, and far shorter than the patience.
const SOON: Duration = Duration::from_secs(15);

pub async fn nodes_metrics_and_queues() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let nodes = yarn.nodes(&[NodeState::Running]).await?;
    let metrics = yarn.metrics().await?;
    ensure!(!nodes.is_empty() && metrics.active as usize == nodes.len(), "{metrics:?} {nodes:?}");
    ensure!(
        nodes.iter().all(|node| node.capability.memory_mb > 0 && node.rack.starts_with('/')),
        "{nodes:?}"
    );
    // Many calls share one connection and get their own answers.
    let many = futures::future::try_join_all((0..200).map(|_| yarn.metrics())).await?;
    ensure!(many.iter().all(|one| one.active == metrics.active), "{many:?}");
    let types = yarn.resource_types().await?;
    ensure!(types.iter().any(|one| one.name == "memory-mb" && one.units == "Mi"), "{types:?}");
    let root = yarn.queues().await?;
    ensure!(root.children.iter().any(|queue| queue.name == "default"), "{root:?}");
    ensure!(yarn.queue("no such queue").await?.is_none());
    Ok(())
}

pub async fn submit_report_kill() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (id, max) = yarn.new_application().await?;
    ensure!(max.memory_mb >= 1024, "{max}");
    let mut context = SubmissionContext::new(id, "live test: sleeps", shell("exec sleep 600"));
    context.resource = Resource::new(256, 1);
    context.tags = vec!["live".into()];
    context.application_type = "KVICK".into();
    context.lifetime = Some(Duration::from_secs(300));
    yarn.submit(&context).await?;
    yarn.submit(&context).await.context("a repeated submission")?;
    let report = wait(&yarn, id, |report| report.state == ApplicationState::Accepted).await?;
    ensure!(
        report.user == current_user() && report.application_type == "KVICK" && report.tags == ["live"],
        "{report:?}"
    );
    let filter = ApplicationFilter {
        types: vec!["KVICK".into()],
        states: vec![ApplicationState::Accepted],
        ..Default::default()
    };
    ensure!(yarn.applications(&filter).await?.iter().any(|report| report.id == id));
    let attempts = yarn.attempts(id).await?;
    ensure!(attempts.len() == 1 && attempts[0].id.application_id == id, "{attempts:?}");
    ensure!(yarn.attempt(attempts[0].id).await?.id == attempts[0].id);
    change_lifetime(&yarn, id).await?;
    yarn.kill(id, "enough").await?;
    let report = wait(&yarn, id, |report| report.state.is_terminal()).await?;
    ensure!(report.state == ApplicationState::Killed && report.diagnostics.contains("enough"), "{report:?}");
    let unknown = ApplicationId { id: 9999, ..id };
    let error = yarn.report(unknown).await.err().context("an unknown application has a report")?;
    ensure!(error.is_application_not_found() && error.to_string().contains(&unknown.to_string()), "{error}");
    Ok(())
}

/// The application was submitted with a life of five minutes.
async fn change_lifetime(yarn: &YarnClient, id: ApplicationId) -> anyhow::Result<()> {
    let left = yarn.report(id).await?.remaining_lifetime.context("no limit")?;
    ensure!(left <= Duration::from_secs(300) && left > Duration::from_secs(200), "{left:?}");
    yarn.update_lifetime(id, SystemTime::now() + Duration::from_secs(3600)).await?;
    let left = yarn.report(id).await?.remaining_lifetime.context("no limit")?;
    ensure!(left <= Duration::from_secs(3600) && left > Duration::from_secs(3500), "{left:?}");
    let past = yarn.update_lifetime(id, SystemTime::now() - Duration::from_secs(3600)).await;
    let error = past.err().context("a past time was accepted")?.to_string();
    ensure!(error.contains("life time") && !error.contains('\n'), "{error}");
    Ok(())
}

pub async fn bad_submissions_say_why() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let (id, max) = yarn.new_application().await?;
    let mut context = SubmissionContext::new(id, "live test: too large", shell("true"));
    context.resource = Resource::new(max.memory_mb * 2, 1);
    let error = yarn.submit(&context).await.err().context("a too large master was accepted")?.to_string();
    ensure!(error.contains("InvalidResourceRequestException") && !error.contains('\n'), "{error}");
    let (id, _) = yarn.new_application().await?;
    let mut context = SubmissionContext::new(id, "live test: wrong time", shell("true"));
    context.resource = Resource::new(256, 1);
    context.max_attempts = 1;
    let resource = LocalResource {
        url: "file:///etc/hostname".into(),
        size: 1,
        timestamp: 1,
        kind: LocalResourceType::File,
        visibility: Visibility::Application,
    };
    context.launch.resources.insert("name".into(), resource);
    yarn.submit(&context).await?;
    let report = wait(&yarn, id, |report| report.state.is_terminal()).await?;
    ensure!(
        report.state == ApplicationState::Failed && report.diagnostics.contains("changed on src filesystem"),
        "{report:?}"
    );
    Ok(())
}

pub async fn profiles_labels_and_permissions() -> anyhow::Result<()> {
    let yarn = yarn()?;
    let acls = yarn.queue_acls().await?;
    let default = acls.get("root.default").or_else(|| acls.get("default"));
    ensure!(default.is_some_and(|acls| acls.submit), "{acls:?}");
    let conf = conf()?;
    let profiles = yarn.resource_profiles().await?;
    ensure!(
        profiles.is_some() == conf.get_bool("yarn.resourcemanager.resource-profiles.enabled", false),
        "{profiles:?}"
    );
    if profiles.is_none() {
        let error = yarn.resource_profile("minimum").await.err().context("profiles are off")?.to_string();
        ensure!(error.contains("YARNFeatureNotEnabledException"), "{error}");
    }
    let labels = yarn.node_labels().await?;
    let by_node = yarn.labels_of_nodes().await?;
    let by_label = yarn.nodes_of_labels(&[]).await?;
    let known = |name: &String| labels.iter().any(|label| label.name == *name);
    ensure!(by_node.values().flatten().all(known) && by_label.keys().all(known), "{by_node:?} {by_label:?}");
    let enabled = conf.get_bool("yarn.node-labels.enabled", false);
    ensure!(enabled || labels.is_empty(), "{labels:?}");
    Ok(())
}

/// A configuration with two ResourceManagers, the first of which is the given address.
fn two(first: &str) -> anyhow::Result<kvick_yarn::conf::HadoopConf> {
    let mut conf = conf()?;
    let real = active(&conf)?.to_string();
    conf.set("yarn.resourcemanager.ha.enabled", "true");
    conf.set("yarn.resourcemanager.ha.rm-ids", "rm1,rm2");
    conf.set("yarn.resourcemanager.address.rm1", first);
    conf.set("yarn.resourcemanager.address.rm2", real);
    Ok(conf)
}

pub async fn dead_addresses_are_passed_over() -> anyhow::Result<()> {
    let yarn = YarnClient::connect(&two("127.0.0.1:1")?, &current_user(), PATIENCE)?;
    let begun = Instant::now();
    yarn.metrics().await?;
    ensure!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    Ok(())
}

pub async fn giving_up_is_timely() -> anyhow::Result<()> {
    let mut conf = conf()?;
    conf.set("yarn.resourcemanager.ha.enabled", "false");
    conf.set("yarn.resourcemanager.address", "127.0.0.1:1");
    let yarn = YarnClient::connect(&conf, &current_user(), Duration::from_secs(2))?;
    let begun = Instant::now();
    let error = yarn.metrics().await.err().context("there is nobody")?.to_string();
    ensure!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    ensure!(
        error.contains("127.0.0.1:1") && error.contains("refused") && error.contains("gave up"),
        "{error}"
    );
    Ok(())
}

pub async fn a_web_port_is_no_rpc_port() -> anyhow::Result<()> {
    let mut conf = conf()?;
    let web = listening(conf.web_addresses()?)?.to_string();
    conf.set("yarn.resourcemanager.ha.enabled", "false");
    conf.set("yarn.resourcemanager.address", web);
    let yarn = YarnClient::connect(&conf, &current_user(), Duration::from_secs(2))?;
    let error = yarn.metrics().await.err().context("a web server answered")?.to_string();
    ensure!(error.contains("closed the connection"), "{error}");
    Ok(())
}

/// A token whose renewer this user is: good for longer once renewed, refused once cancelled.
async fn renew_and_cancel(conf: &kvick_yarn::conf::HadoopConf) -> anyhow::Result<()> {
    let yarn = yarn()?;
    let token = yarn.delegation_token(&current_user(), conf).await?;
    let until = yarn.renew_delegation_token(&token).await?;
    ensure!(until > SystemTime::now() + Duration::from_secs(60), "{until:?}");
    yarn.cancel_delegation_token(&token).await?;
    let mut credentials = Credentials::new();
    credentials.add_token(token.service.clone(), token);
    let by_token = YarnClient::with_credentials(conf, "nobody", &credentials, PATIENCE)?;
    let error = by_token.metrics().await.err().context("a cancelled token was accepted")?.to_string();
    ensure!(error.contains("InvalidToken"), "{error}");
    Ok(())
}

pub async fn delegation_tokens() -> anyhow::Result<()> {
    let conf = conf()?;
    let token = yarn()?.delegation_token("yarn", &conf).await?;
    let addresses = conf.resource_manager_addresses()?;
    let services: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    ensure!(token.service == services.join(","), "{token:?}");
    let mut credentials = Credentials::new();
    credentials.add_token(token.service.clone(), token);
    let by_token = YarnClient::with_credentials(&conf, "nobody", &credentials, PATIENCE)?;
    by_token.metrics().await.context("by token")?;
    renew_and_cancel(&conf).await?;
    let url = conf.get_or("fs.defaultFS", "");
    let authority =
        url.strip_prefix("hdfs://").context("the cluster has no HDFS")?.trim_end_matches('/').to_owned();
    let tokens = hdfs_delegation_tokens(&conf, &authority, &current_user(), "yarn", PATIENCE).await?;
    let expected = conf.get_bool("dfs.namenode.delegation.token.always-use", false);
    ensure!(tokens.is_empty() != expected, "{tokens:?}");
    ensure!(tokens.iter().all(|token| token.kind == "HDFS_DELEGATION_TOKEN"), "{tokens:?}");
    let me = current_user();
    for token in hdfs_delegation_tokens(&conf, &authority, &me, &me, PATIENCE).await?.iter().take(1) {
        let until = renew_hdfs_delegation_token(&conf, &authority, &me, token, PATIENCE).await?;
        ensure!(until > SystemTime::now() + Duration::from_secs(60), "{until:?}");
        cancel_hdfs_delegation_token(&conf, &authority, &me, token, PATIENCE).await?;
        let again = renew_hdfs_delegation_token(&conf, &authority, &me, token, PATIENCE).await;
        ensure!(again.is_err(), "a cancelled token was renewed");
    }
    Ok(())
}
