// The steps of the scenario that call Node's BullMQ. `Calls` knows a chapter's queues and the jobs that steps name.
import { Job } from "bullmq";

export class Calls {
  queue(step) {
    return this.queues.get(step.queue ?? "main");
  }

  id(alias) {
    return this.ids.get(alias)?.id ?? alias;
  }

  alias(id) {
    const found = [...this.ids].find(([, job]) => job.id === id);
    return found ? found[0] : id;
  }

  async job(step) {
    const { queue } = this.ids.get(step.job) ?? { queue: step.queue ?? "main" };
    const target = this.queues.get(queue);
    const job = await target.getJob(this.id(step.job));
    return job ?? new Job(target, "gone", {}, {}, this.id(step.job));
  }

  opts(opts = {}) {
    if (!opts.parent) return opts;
    const { queue } = this.ids.get(opts.parent.job) ?? { queue: "main" };
    return { ...opts, parent: { id: this.id(opts.parent.job), queue: `${this.prefix}:${this.name}-${queue}` } };
  }

  note(alias, queue, job) {
    if (!this.ids.has(alias)) this.ids.set(alias, { queue, id: job.id });
    return job.id;
  }

  // Jobs

  async add(step) {
    const job = await this.queue(step).add(step.name, step.data ?? null, this.opts(step.opts));
    return this.note(step.name, step.queue ?? "main", job);
  }

  async addBulk(step) {
    const jobs = step.jobs.map((job) => ({ data: null, ...job, opts: this.opts(job.opts) }));
    const added = await this.queue(step).addBulk(jobs);
    return added.map((job) => this.note(job.name, step.queue ?? "main", job));
  }

  async getJob(step) {
    const job = await this.queue(step).getJob(this.id(step.job));
    return job ? view(job, await job.getState()) : null;
  }

  async remove(step) {
    const job = await this.job(step);
    await job.remove({ removeChildren: step.removeChildren ?? true });
  }

  async removeById(step) {
    return Boolean(await this.queue(step).remove(this.id(step.job), { removeChildren: step.removeChildren ?? true }));
  }

  async retry(step) {
    await (await this.job(step)).retry(step.state ?? "failed", step.opts ?? {});
  }

  async promote(step) {
    await (await this.job(step)).promote();
  }

  async updateData(step) {
    await (await this.job(step)).updateData(step.data);
  }

  async updateProgress(step) {
    await (await this.job(step)).updateProgress(step.progress);
  }

  async changeDelay(step) {
    await (await this.job(step)).changeDelay(step.delay);
  }

  async changePriority(step) {
    await (await this.job(step)).changePriority(step.opts);
  }

  async log(step) {
    return (await this.job(step)).log(step.row);
  }

  async clearLogs(step) {
    await (await this.job(step)).clearLogs(step.keep);
  }

  async addJobLog(step) {
    return this.queue(step).addJobLog(this.id(step.job), step.row, step.keep);
  }

  async updateJobProgress(step) {
    await this.queue(step).updateJobProgress(this.id(step.job), step.progress);
  }

  async getJobLogs(step) {
    return this.queue(step).getJobLogs(this.id(step.job), step.start, step.end, step.asc);
  }

  async states(step) {
    const job = await this.job(step);
    return {
      getState: await job.getState(),
      getJobState: await job.queue.getJobState(job.id),
      isCompleted: await job.isCompleted(),
      isFailed: await job.isFailed(),
      isDelayed: await job.isDelayed(),
      isActive: await job.isActive(),
      isWaiting: await job.isWaiting(),
      isWaitingChildren: await job.isWaitingChildren(),
    };
  }

  async removeJobDeduplicationKey(step) {
    return Boolean(await (await this.job(step)).removeDeduplicationKey());
  }

  // Flows

  async flow(step) {
    const queuesOptions = Object.fromEntries(
      Object.entries(step.queuesOptions ?? {}).map(([queue, opts]) => [`${this.name}-${queue}`, opts]),
    );
    return this.tree(await this.flows.add(this.node(step.flow), { queuesOptions }));
  }

  async flowBulk(step) {
    return (await this.flows.addBulk(step.flows.map((flow) => this.node(flow)))).map((flow) => this.tree(flow));
  }

  async getFlow(step) {
    const { queue, id } = this.ids.get(step.job) ?? { queue: "main", id: step.job };
    const { depth = 10, maxChildren = 20 } = step;
    const flow = await this.flows.getFlow({ queueName: `${this.name}-${queue}`, id, prefix: this.prefix, depth, maxChildren });
    return flow ? this.tree(flow) : null;
  }

  node({ queue = "main", children, opts, ...rest }) {
    const node = { queueName: `${this.name}-${queue}`, prefix: this.prefix, data: null, ...rest, opts: this.opts(opts) };
    return children ? { ...node, children: children.map((child) => this.node(child)) } : node;
  }

  tree({ job, children }) {
    this.note(job.name, job.queueName.slice(this.name.length + 1), job);
    return { id: job.id, name: job.name, children: (children ?? []).map((child) => this.tree(child)) };
  }

  async getChildrenValues(step) {
    return (await this.job(step)).getChildrenValues();
  }

  async getIgnoredChildrenFailures(step) {
    return (await this.job(step)).getIgnoredChildrenFailures();
  }

  async getDependencies(step) {
    const { processed = {}, unprocessed = [], ignored = {}, failed = [] } = await (await this.job(step)).getDependencies();
    return { processed, unprocessed, ignored, failed };
  }

  async getDependenciesCount(step) {
    const { processed, unprocessed, ignored, failed } = await (await this.job(step)).getDependenciesCount();
    return { processed, unprocessed, ignored, failed };
  }

  async removeChildDependency(step) {
    return (await this.job(step)).removeChildDependency();
  }

  async removeUnprocessedChildren(step) {
    await (await this.job(step)).removeUnprocessedChildren();
  }

  // Queues

  async pause(step) {
    await this.queue(step).pause();
  }

  async resume(step) {
    await this.queue(step).resume();
  }

  async drain(step) {
    await this.queue(step).drain(step.delayed ?? false);
  }

  async clean(step) {
    const removed = await this.queue(step).clean(step.grace, step.limit, step.state);
    return removed.map((id) => this.alias(id)).sort();
  }

  async obliterate(step) {
    await this.queue(step).obliterate({ force: step.force ?? false });
  }

  async retryJobs(step) {
    const { state, timestamp } = step;
    await this.queue(step).retryJobs({ ...(state && { state }), ...(timestamp !== undefined && { timestamp }) });
  }

  async promoteJobs(step) {
    await this.queue(step).promoteJobs();
  }

  async getJobs(step) {
    const found = await this.queue(step).getJobs(step.states, step.start, step.end, step.asc);
    return found.map((job) => job.id);
  }

  async getters(step) {
    const queue = this.queue(step);
    const ids = async (jobs) => (await jobs).map((job) => job.id);
    const { start, end } = step;
    return {
      getWaiting: await ids(queue.getWaiting(start, end)),
      getActive: await ids(queue.getActive(start, end)),
      getDelayed: await ids(queue.getDelayed(start, end)),
      getPrioritized: await ids(queue.getPrioritized(start, end)),
      getWaitingChildren: await ids(queue.getWaitingChildren(start, end)),
      getCompleted: await ids(queue.getCompleted(start, end)),
      getFailed: await ids(queue.getFailed(start, end)),
    };
  }

  async counts(step) {
    const queue = this.queue(step);
    return {
      count: await queue.count(),
      getJobCounts: await queue.getJobCounts("waiting", "failed"),
      getJobCountByTypes: await queue.getJobCountByTypes("waiting", "failed"),
      getWaitingCount: await queue.getWaitingCount(),
      getActiveCount: await queue.getActiveCount(),
      getDelayedCount: await queue.getDelayedCount(),
      getPrioritizedCount: await queue.getPrioritizedCount(),
      getWaitingChildrenCount: await queue.getWaitingChildrenCount(),
      getCompletedCount: await queue.getCompletedCount(),
      getFailedCount: await queue.getFailedCount(),
    };
  }

  async getCountsPerPriority(step) {
    return this.queue(step).getCountsPerPriority(step.priorities);
  }

  async getDeduplicationJobId(step) {
    return this.queue(step).getDeduplicationJobId(step.id);
  }

  async removeDeduplicationKey(step) {
    return Boolean(await this.queue(step).removeDeduplicationKey(step.id));
  }

  async getMetrics(step) {
    const { meta, count } = await this.queue(step).getMetrics(step.state);
    return { total: meta.count, minutes: count };
  }

  async setGlobalConcurrency(step) {
    await this.queue(step).setGlobalConcurrency(step.concurrency);
  }

  async getGlobalConcurrency(step) {
    return this.queue(step).getGlobalConcurrency();
  }

  async removeGlobalConcurrency(step) {
    await this.queue(step).removeGlobalConcurrency();
  }

  async isMaxed(step) {
    return this.queue(step).isMaxed();
  }

  async setGlobalRateLimit(step) {
    await this.queue(step).setGlobalRateLimit(step.max, step.duration);
  }

  async getGlobalRateLimit(step) {
    return this.queue(step).getGlobalRateLimit();
  }

  async removeGlobalRateLimit(step) {
    await this.queue(step).removeGlobalRateLimit();
  }

  async rateLimit(step) {
    await this.queue(step).rateLimit(step.duration);
  }

  async getRateLimitTtl(step) {
    return (await this.queue(step).getRateLimitTtl(step.maxJobs)) > 0;
  }

  async removeRateLimitKey(step) {
    return Boolean(await this.queue(step).removeRateLimitKey());
  }

  async trimEvents(step) {
    await this.queue(step).trimEvents(step.maxLength);
  }

  async getWorkersCount(step) {
    return this.queue(step).getWorkersCount();
  }

  // Schedulers

  async upsertJobScheduler(step) {
    await this.queue(step).upsertJobScheduler(step.id, step.repeat, step.template);
  }

  async getJobScheduler(step) {
    const found = await this.queue(step).getJobScheduler(step.id);
    return found ? schedulerView(found) : null;
  }

  async getJobSchedulers(step) {
    return (await this.queue(step).getJobSchedulers(step.start, step.end, step.asc)).map(schedulerView);
  }

  async getJobSchedulersCount(step) {
    return this.queue(step).getJobSchedulersCount();
  }

  async removeJobScheduler(step) {
    return Boolean(await this.queue(step).removeJobScheduler(step.id));
  }
}

export function view(job, state) {
  return {
    id: job.id,
    name: job.name,
    state,
    data: job.data,
    opts: job.opts,
    progress: job.progress,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    delay: job.delay,
    priority: job.priority,
    returnValue: job.returnvalue ?? null,
    failedReason: job.failedReason ?? null,
    stacktraces: (job.stacktrace ?? []).length,
    parent: job.parent ? { id: job.parent.id, queue: job.parent.queueKey.split(":").pop() } : null,
    repeatJobKey: job.repeatJobKey ?? null,
    deduplicationId: job.deduplicationId ?? null,
    timestamp: job.timestamp,
    isProcessed: Boolean(job.processedOn),
    isFinished: Boolean(job.finishedOn),
  };
}

function schedulerView({ key, name, every, pattern, tz, limit, offset, startDate, endDate, next, iterationCount, template }) {
  return {
    id: key,
    name,
    every: every ?? null,
    pattern: pattern ?? null,
    tz: tz ?? null,
    limit: limit ?? null,
    offset: every ? (offset ?? null) : null,
    startDate: startDate ?? null,
    endDate: endDate ?? null,
    next: next ?? null,
    iterationCount: iterationCount ?? 0,
    template: { data: template?.data ?? {}, opts: template?.opts ?? {} },
  };
}
