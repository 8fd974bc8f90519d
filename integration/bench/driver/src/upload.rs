//! What a submission writes to HDFS: the DataNode's own count of bytes, before and after.

use crate::Bench;
use crate::report::{Aim, Row, Unit};
use crate::sample::Sample;
use crate::submission::submit;
use crate::system::System;
use anyhow::{Context, Result};
use kvick_integration::command::{fs, required};
use kvick_integration::http::json;
use std::path::Path;
use std::time::Duration;

/// The value of a property in the cluster's hdfs-site.xml.
fn property(name: &str) -> Result<String> {
    let path = Path::new(&required("HADOOP_CONF_DIR")).join("hdfs-site.xml");
    let text = std::fs::read_to_string(&path)?;
    let value =
        text.split_once(&format!("<name>{name}</name>")).and_then(|(_, rest)| rest.split_once("<value>"));
    let value = value.and_then(|(_, rest)| rest.split_once("</value>"));
    Ok(value.with_context(|| format!("{} has no {name}", path.display()))?.0.trim().to_string())
}

/// How long the DataNode answers with what it knew before (Hadoop's metrics are cached for ten seconds).
const STALE: Duration = Duration::from_secs(11);

/// The DataNode's count, as of now.
fn bytes_written() -> Result<f64> {
    let address = property("dfs.datanode.http.address")?;
    std::thread::sleep(STALE);
    let beans = json(&format!("http://{address}/jmx?qry=Hadoop:service=DataNode,name=DataNodeActivity-*"));
    beans["beans"][0]["BytesWritten"].as_f64().context("the DataNode tells no BytesWritten")
}

/// What each of some submissions wrote on average, kB.
fn written_by(system: &System, staging: &str, submissions: usize) -> Result<Sample> {
    let before = bytes_written()?;
    for _ in 0..submissions {
        submit(
            &mut system.wordcount(&format!("run -t yarn-per-job -Dyarn.staging-directory={staging}"), &[]),
        )?;
    }
    Ok(Sample::from_iter([(bytes_written()? - before) / 1000.0 / submissions as f64]))
}

/// Measures a submission into an empty staging directory, and further ones.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let mut first = Row::new("uploaded by the first submission", Unit::Kilobytes);
    let mut later =
        Row::new("uploaded by each later submission, on average", Unit::Kilobytes).aim(Aim::AtMost(100.0));
    for (system, runs) in bench.systems() {
        let staging = format!("{}/upload-{}", crate::system::staging(), system.name);
        first = first.with(system.name, written_by(system, &staging, 1)?);
        later = later.with(system.name, written_by(system, &staging, runs)?);
        fs(&["rm", &staging]);
    }
    bench.report.extend([first, later]);
    Ok(())
}
