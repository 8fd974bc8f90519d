//! Lists the cluster's applications and nodes: `HADOOP_CONF_DIR=… cargo run -p kvick-yarn --example list`.

use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::HadoopConf;
use kvick_yarn::records::ApplicationFilter;
use kvick_yarn::rpc::current_user;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let conf = HadoopConf::load_default()?;
    let client = YarnClient::connect(&conf, &current_user(), Duration::from_secs(10))?;
    let filter = ApplicationFilter { limit: Some(20), ..ApplicationFilter::default() };
    let (applications, nodes) = tokio::try_join!(client.applications(&filter), client.nodes(&[]))?;
    println!("{:36} {:10} {:10} {:10} Name", "Application", "State", "Final", "User");
    for report in applications {
        println!(
            "{:36} {:10} {:10} {:10} {}",
            report.id.to_string(),
            report.state,
            report.final_status,
            report.user,
            report.name
        );
    }
    println!("\n{:28} {:16} {:12} Containers  Used / Capability", "Node", "Rack", "State");
    for node in nodes {
        let state = format!("{:?}", node.state);
        println!(
            "{:28} {:16} {state:12} {:10}  {} / {}",
            node.id.to_string(),
            node.rack,
            node.containers,
            node.used,
            node.capability
        );
    }
    Ok(())
}
