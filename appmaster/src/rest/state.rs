//! What every handler holds: access to the cluster, and the samples that rates are computed from.
//!
//! Handlers never touch the machines; they ask the driver's task through [`Rest::ask`] and shape the answer there.

use super::error::RestError;
use super::jar_store::JarStore;
use super::rates::{self, Samples};
use crate::cluster::Cluster;
use crate::handle::ClusterHandle;
use kvick_core::graph::JobVertex;
use kvick_core::ids::{ExecutorId, JobId, VertexId};
use kvick_core::jobmaster::{Execution, JobMaster};
use kvick_core::time::Millis;
use std::sync::{Arc, Mutex, PoisonError};

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    /// The cluster.
    pub cluster: ClusterHandle,
    /// Uploaded jars.
    pub jars: JarStore,
    samples: Arc<Mutex<Samples>>,
}

/// One job at one moment, with all that a view of it is made from.
pub struct JobView<'a> {
    /// The cluster around it.
    pub cluster: &'a Cluster,
    /// Its id.
    pub id: JobId,
    /// The job.
    pub job: &'a JobMaster,
    /// Past counters of its tasks.
    pub samples: &'a Samples,
    /// The moment.
    pub now: Millis,
}

/// One vertex of a job at one moment.
pub struct VertexView<'a> {
    /// The job.
    pub job: &'a JobView<'a>,
    /// The vertex.
    pub vertex: &'a JobVertex,
    /// Its current attempts, by subtask.
    pub executions: &'a [Execution],
}

impl Rest {
    /// State around a cluster. Starts the sampling of counters, which ends with the cluster's driver; so this must be
    /// called within a tokio runtime.
    pub fn new(cluster: ClusterHandle) -> Rest {
        let samples = Arc::new(Mutex::new(Samples::default()));
        tokio::spawn(rates::sample(cluster.clone(), samples.clone()));
        Rest { jars: JarStore::new(cluster.settings.clone()), cluster, samples }
    }

    /// Asks the cluster.
    ///
    /// # Errors
    /// 503 once the application is over.
    pub async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Cluster, Millis) -> R + Send + 'static,
    ) -> Result<R, RestError> {
        self.cluster.ask(question).await.ok_or_else(|| {
            RestError::unavailable("Service temporarily unavailable: the application is ending.")
        })
    }

    /// Shapes a view of a job.
    ///
    /// # Errors
    /// 400 if the text is no job id, 404 if there is no such job, and what the view says.
    pub async fn job<R: Send + 'static>(
        &self,
        id: &str,
        view: impl FnOnce(&JobView<'_>) -> Result<R, RestError> + Send + 'static,
    ) -> Result<R, RestError> {
        let id = job_id(id)?;
        let samples = self.samples.clone();
        let shaped = self.ask(move |cluster, now| {
            let job = cluster.master.job(id).ok_or_else(|| no_such_job(id))?;
            let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            view(&JobView { cluster, id, job, samples: &samples, now })
        });
        shaped.await?
    }

    /// Shapes a view of every job.
    ///
    /// # Errors
    /// 503 once the application is over.
    pub async fn jobs<R: Send + 'static>(
        &self,
        view: impl Fn(&JobView<'_>) -> R + Send + 'static,
    ) -> Result<Vec<R>, RestError> {
        let samples = self.samples.clone();
        self.ask(move |cluster, now| {
            let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            let jobs = cluster.master.jobs();
            jobs.map(|(id, job)| view(&JobView { cluster, id: *id, job, samples: &samples, now })).collect()
        })
        .await
    }

    /// Shapes a view of a vertex.
    ///
    /// # Errors
    /// As [`Rest::job`], the vertex included.
    pub async fn vertex<R: Send + 'static>(
        &self,
        (job, vertex): (String, String),
        view: impl FnOnce(&VertexView<'_>) -> Result<R, RestError> + Send + 'static,
    ) -> Result<R, RestError> {
        let id: VertexId = vertex.parse().map_err(|_| RestError::path_parameter("vertexid", &vertex))?;
        self.job(&job, move |job| {
            let vertex = job.vertices().find(|v| v.vertex.id == id);
            view(&vertex.ok_or_else(|| RestError::not_found(format!("JobVertex {id} not found")))?)
        })
        .await
    }
}

impl<'a> JobView<'a> {
    /// The job's vertices, producers first.
    pub fn vertices(&'a self) -> impl DoubleEndedIterator<Item = VertexView<'a>> {
        let vertices = self.job.submission().graph.vertices.iter().enumerate();
        vertices.map(|(index, vertex)| VertexView {
            job: self,
            vertex,
            executions: self.job.executions(index),
        })
    }

    /// The name of the host of an executor; its id once nobody knows.
    pub fn host(&self, executor: &ExecutorId) -> String {
        let connected = self.cluster.connections.get(executor).map(|c| c.info.host.clone());
        connected.or_else(|| self.samples.host(executor)).unwrap_or_else(|| executor.to_string())
    }

    /// `host:port` of the job's worker on an executor; without the port while there is no worker.
    pub fn endpoint(&self, executor: &ExecutorId) -> String {
        let host = self.host(executor);
        match self.job.worker_address(executor).and_then(|a| a.rsplit_once(':')) {
            Some((_, port)) => format!("{host}:{port}"),
            None => host,
        }
    }
}

/// Reads a job id from a path.
///
/// # Errors
/// 400 if it is none.
pub fn job_id(text: &str) -> Result<JobId, RestError> {
    text.parse().map_err(|_| RestError::path_parameter("jobid", text))
}

/// 404 for a job.
pub fn no_such_job(id: JobId) -> RestError {
    RestError::not_found(format!("Job {id} not found"))
}
