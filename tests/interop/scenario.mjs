// The chapters of the scenario, done by Node's BullMQ: chapters on stdin, what came of each step on stdout.
import { Queue, FlowProducer, UnrecoverableError, DelayedError, WaitingChildrenError, Worker } from "bullmq";
import { Calls, view } from "./calls.mjs";

const STATES = ["waiting", "active", "prioritized", "delayed", "waiting-children", "completed", "failed"];
const RUNNING = ["start", "release"]; // after these jobs may be on their way
const CODES = { "-1": "not_found", "-3": "wrong_state", "-5": "not_found", "-7": "parent_cannot_be_replaced", "-8": "wrong_state" };
const { socket, prefix, chapters } = JSON.parse(await text(process.stdin));
const options = { connection: { path: socket, maxRetriesPerRequest: null }, prefix };

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

class Late extends Error {}

class Chapter extends Calls {
  constructor({ name, queues, steps }) {
    super();
    this.name = name;
    this.prefix = prefix;
    this.steps = steps;
    this.queues = new Map(queues.map((queue) => [queue, new Queue(`${name}-${queue}`, options)]));
    this.flows = new FlowProducer(options);
    this.ids = new Map(); // an alias -> {queue, id}
    this.workers = [];
    this.ran = [];
    this.gates = new Map();
  }

  async play() {
    const seen = [];
    for (const step of this.steps) {
      let result;
      try {
        result = { ok: (await this[step.op](step)) ?? null };
      } catch (error) {
        if (error instanceof Late) throw error;
        result = { error: codeOf(error), message: error.message };
      }
      seen.push({ result, queues: RUNNING.includes(step.op) ? {} : await this.look() });
    }
    return seen;
  }

  async close() {
    await Promise.all([...this.workers, ...this.queues.values(), this.flows].map((one) => one.close(true)));
  }

  async look() {
    const seen = {};
    for (const [name, queue] of this.queues) {
      const jobs = {};
      for (const state of STATES) {
        const found = await queue.getJobs([state], 0, -1, true);
        jobs[state] = found.map((job) => view(job, state));
      }
      seen[name] = { isPaused: await queue.isPaused(), counts: await queue.getJobCounts(), jobs };
    }
    return seen;
  }

  // Workers

  async start(step) {
    for (const queue of step.queues ?? ["main"]) {
      const process = (job, token) => this.process(queue, worker, job, token);
      const limiter = { max: 1_000_000, duration: 1000 }; // without one the worker overlooks rate limits
      const worker = new Worker(`${this.name}-${queue}`, process, {
        ...options, limiter, drainDelay: 1, metrics: { maxDataPoints: 60 }, ...step.options,
      });
      worker.on("error", (error) => console.error(this.name, error));
      this.workers.push(worker);
    }
  }

  async stop({ isOrdered }) {
    await Promise.all(this.workers.splice(0).map((worker) => worker.close()));
    const ran = this.ran.splice(0);
    return isOrdered ? ran : ran.sort();
  }

  async until(step) {
    const deadline = Date.now() + 20_000;
    while (!(await this.isReached(step))) {
      if (Date.now() > deadline) throw new Late(`${this.name}: not in time: ${JSON.stringify(step)}\n${JSON.stringify(await this.look())}`);
      await sleep(5);
    }
  }

  async isReached({ jobs, queues = ["main"] }) {
    for (const [alias, state] of Object.entries(jobs ?? {})) {
      if ((await (await this.job({ job: alias })).getState()) !== state) return false;
    }
    for (const queue of jobs ? [] : queues) {
      const open = await this.queues.get(queue).getJobCountByTypes("waiting", "active", "delayed", "prioritized");
      if (open) return false;
    }
    return true;
  }

  async release(step) {
    this.gate(step.gate).open();
  }

  gate(name) {
    if (!this.gates.has(name)) {
      let open;
      const opened = new Promise((resolve) => (open = resolve));
      this.gates.set(name, { open, opened });
    }
    return this.gates.get(name);
  }

  async waitUntilFinished(step) {
    const job = await this.job(step); // QueueEvents would see only what ends from now on: read the end instead
    if (await job.isFailed()) throw Object.assign(new Error(job.failedReason), { code: "job_failed" });
    return job.returnvalue;
  }

  async process(queue, worker, job, token) {
    this.ran.push(`${job.name} ${job.attemptsStarted}`);
    const attempts = job.data?.attempts ?? [{}];
    const acts = attempts[Math.min(job.attemptsStarted, attempts.length) - 1];
    let result = null;
    for (const [act, value] of Object.entries(acts)) {
      if (act === "gate") await this.gate(value).opened;
      if (act === "updateProgress") await job.updateProgress(value);
      if (act === "log") await job.log(value);
      if (act === "updateData") await job.updateData(value);
      if (act === "getChildrenValues") result = await job.getChildrenValues();
      if (act === "getIgnoredChildrenFailures") result = await job.getIgnoredChildrenFailures();
      if (act === "child") {
        const parent = { id: job.id, queue: job.queueQualifiedName };
        const child = await this.queues.get(value.queue).add(value.name, value.data ?? null, { ...value.opts, parent });
        this.note(value.name, value.queue, child);
      }
      if (act === "removeUnprocessedChildren") await job.removeUnprocessedChildren();
      if (act === "return") result = value;
      if (act === "throw") throw new Error(value);
      if (act === "unrecoverable") throw new UnrecoverableError(value);
      if (act === "moveToDelayed") {
        await job.moveToDelayed(Date.now() + value, token);
        throw new DelayedError();
      }
      if (act === "rateLimit") {
        await worker.rateLimit(value);
        throw Worker.RateLimitError();
      }
      if (act === "moveToWaitingChildren" && (await job.moveToWaitingChildren(token))) throw new WaitingChildrenError();
    }
    return result;
  }
}

function codeOf(error) {
  if (CODES[error.code]) return CODES[error.code];
  if (error.code === "job_failed") return "job_failed";
  if (/locked/.test(error.message)) return "locked";
  if (/Cannot obliterate/.test(error.message)) return "wrong_state";
  return "invalid";
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const told = {};
for (const chapter of chapters) {
  const player = new Chapter(chapter);
  told[chapter.name] = await player.play().catch((error) => ({ failed: String(error.stack) }));
  await player.close();
}
console.log(JSON.stringify(told));
