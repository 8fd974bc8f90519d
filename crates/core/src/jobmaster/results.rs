//! Results that are kept for consumers which begin when they are whole: where they are, who waits for them, who must run again
//! when they are lost, and when nobody needs them any more.
//!
//! A producer's worker keeps its result from the producer's end until every consumer has finished. A region that starts again
//! takes with it the producers whose results are gone, and the consumers that are at work on what it had written.

use super::{JobEffect, JobMaster, Phase};
use crate::graph::pointwise::{consumers_of, producers_of};
use crate::graph::{JobEdge, TaskRef};
use crate::ids::ExecutorId;
use crate::task::TaskState;
use crate::time::Millis;
use std::collections::BTreeSet;

impl JobMaster {
    /// Whether consumers of this task begin when it has ended.
    pub(super) fn has_blocking_output(&self, task: TaskRef) -> bool {
        self.blocking && self.outputs_of(task).next().is_some()
    }

    fn outputs_of(&self, task: TaskRef) -> impl Iterator<Item = &JobEdge> {
        let id = self.submission.graph.vertices[task.vertex].id;
        self.submission.graph.outputs(id).filter(|edge| edge.is_blocking())
    }

    fn inputs_of(&self, task: TaskRef) -> impl Iterator<Item = &JobEdge> {
        let id = self.submission.graph.vertices[task.vertex].id;
        self.submission.graph.inputs(id).filter(|edge| edge.is_blocking())
    }

    /// The producers whose results a task reads.
    fn producers(&self, task: TaskRef) -> impl Iterator<Item = TaskRef> {
        let width = self.submission.graph.vertices[task.vertex].parallelism;
        self.inputs_of(task).flat_map(move |edge| {
            let vertex = self.vertex_index[&edge.source];
            let producers = self.submission.graph.vertices[vertex].parallelism;
            producers_of(edge.partitioning, producers, width, task.subtask)
                .map(move |subtask| TaskRef { vertex, subtask })
        })
    }

    /// The regions that read a task's result.
    fn readers(&self, task: TaskRef) -> impl Iterator<Item = usize> {
        let width = self.submission.graph.vertices[task.vertex].parallelism;
        self.outputs_of(task).flat_map(move |edge| {
            let vertex = self.vertex_index[&edge.target];
            let consumers = self.submission.graph.vertices[vertex].parallelism;
            consumers_of(edge.partitioning, width, consumers, task.subtask)
                .map(move |subtask| self.region_of[&TaskRef { vertex, subtask }])
        })
    }

    /// The vertices of which every task keeps its whole result.
    pub(super) fn whole_results(&self) -> BTreeSet<usize> {
        if !self.blocking {
            return BTreeSet::new();
        }
        let kept = |vertex| move |subtask| self.offers_result(TaskRef { vertex, subtask });
        let whole = |vertex: &usize| (0..self.executions[*vertex].len() as u32).all(kept(*vertex));
        (0..self.executions.len()).filter(whole).collect()
    }

    /// Whether everything that a region reads from the beginning to the end is there; `whole` as
    /// [`JobMaster::whole_results`].
    pub(super) fn can_read(&self, region: usize, whole: &BTreeSet<usize>) -> bool {
        !self.blocking
            || self.regions[region].tasks.iter().all(|task| {
                let missing = self.inputs_of(*task).any(|e| !whole.contains(&self.vertex_index[&e.source]));
                !missing || self.producers(*task).all(|producer| self.offers_result(producer))
            })
    }

    /// Whether what a task keeps may be read. One that finished while its region was being stopped has its result released
    /// when the region starts again.
    fn offers_result(&self, task: TaskRef) -> bool {
        self.execution(task).keeps_result()
            && !matches!(self.regions[self.region_of[&task]].phase, Phase::Restarting(_))
    }

    /// Whether nothing has been done for a task yet, because what it reads is not whole, or its region has no slots.
    pub(super) fn waits_for_results(&self, task: TaskRef) -> bool {
        (self.blocking || self.stages.is_some())
            && self.execution(task).state == TaskState::Scheduled
            && self.regions[self.region_of[&task]].phase == Phase::Waiting
    }

    /// Whether a region has done its work. One that was being stopped to start again may finish all the same: that counts for
    /// nothing, and it will read its input once more.
    fn region_finished(&self, region: usize) -> bool {
        self.regions[region].phase == Phase::Deployed
            && self.regions[region].tasks.iter().all(|t| self.execution(*t).state == TaskState::Finished)
    }

    /// What was kept in a worker that is gone is lost; returns the regions that must run again, because others are to read it.
    pub(super) fn lose_results(&mut self, executor: &ExecutorId) -> BTreeSet<usize> {
        let mut regions = BTreeSet::new();
        if !self.blocking {
            return regions;
        }
        for region in 0..self.regions.len() {
            for task in self.regions[region].tasks.clone() {
                let execution = self.execution_mut(task);
                let kept = execution.keeps_result();
                if execution.result.take_if(|kept| *kept == *executor).is_some()
                    && kept
                    && self.readers(task).any(|reader| !self.region_finished(reader))
                {
                    regions.insert(region);
                }
            }
        }
        regions
    }

    /// What a task was to read is not what was written: nothing of it is used again.
    pub(super) fn distrust_inputs(&mut self, task: TaskRef, fx: &mut Vec<JobEffect>) {
        for producer in self.producers(task).collect::<Vec<_>>() {
            self.release_result(producer, fx);
        }
    }

    /// These regions, the producers of what they read and is lost, and those at work on what they had written.
    pub(super) fn with_neighbours(&self, regions: BTreeSet<usize>) -> BTreeSet<usize> {
        if !self.blocking {
            return regions;
        }
        let mut open: Vec<usize> = regions.iter().copied().collect();
        let mut all = regions;
        while let Some(region) = open.pop() {
            for task in &self.regions[region].tasks {
                let lost = self.producers(*task).filter(|producer| self.is_lost(*producer));
                let producers = lost.map(|producer| self.region_of[&producer]);
                let readers = self.readers(*task).filter(|reader| self.is_at_work(*reader));
                open.extend(producers.chain(readers).filter(|neighbour| all.insert(*neighbour)));
            }
        }
        all
    }

    /// Whether a task has done its work and the result is gone.
    fn is_lost(&self, task: TaskRef) -> bool {
        let execution = self.execution(task);
        execution.state == TaskState::Finished && execution.result.is_none()
    }

    fn is_at_work(&self, region: usize) -> bool {
        self.regions[region].phase == Phase::Deployed && !self.region_finished(region)
    }

    /// Recovery: regions that wait, or start again, need what was lost with the application master; returns the tasks of
    /// those that start again because of it.
    pub(super) fn restart_neighbours(&mut self, now: Millis) -> Vec<TaskRef> {
        let waits = |region: &usize| self.regions[*region].phase != Phase::Deployed;
        let begun: BTreeSet<usize> = (0..self.regions.len()).filter(waits).collect();
        let mut tasks = Vec::new();
        for region in self.with_neighbours(begun.clone()).difference(&begun) {
            self.regions[*region].phase = Phase::Restarting(now);
            self.pending_regions.insert(*region);
            tasks.extend(self.regions[*region].tasks.iter().copied());
        }
        tasks
    }

    /// A task has finished: results that were kept for its region alone are not needed any more.
    pub(super) fn release_read_results(&mut self, task: TaskRef, fx: &mut Vec<JobEffect>) {
        let region = self.region_of[&task];
        if !self.blocking || !self.region_finished(region) {
            return;
        }
        let tasks = self.regions[region].tasks.iter();
        let read: BTreeSet<TaskRef> = tasks.flat_map(|task| self.producers(*task)).collect();
        for producer in read {
            if self.readers(producer).all(|reader| self.region_finished(reader)) {
                self.release_result(producer, fx);
            }
        }
    }

    /// Recovery: lets go of what tasks had kept for regions that have all finished, whether or not it was let go of before.
    pub(super) fn release_all_read_results(&mut self, fx: &mut Vec<JobEffect>) {
        let tasks = self.regions.iter().flat_map(|region| &region.tasks);
        let kept = tasks.filter(|task| self.execution(**task).keeps_result());
        let read = kept.filter(|task| self.readers(**task).all(|reader| self.region_finished(reader)));
        for task in read.copied().collect::<Vec<_>>() {
            self.release_result(task, fx);
        }
    }

    /// Lets go of the result that a task has kept, where it has.
    pub(super) fn release_result(&mut self, task: TaskRef, fx: &mut Vec<JobEffect>) {
        let id = self.execution_id(task);
        let execution = self.execution_mut(task);
        if execution.keeps_result()
            && let Some(executor) = execution.result.take()
        {
            fx.push(JobEffect::Cancel(executor, vec![id]));
        }
    }
}
