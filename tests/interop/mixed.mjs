// Node's half of test_mixed.py: `node mixed.mjs add|work|board SOCKET QUEUE...`, answers in JSON.
import { Queue, Worker } from "bullmq";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { Redis } from "ioredis";

const SINGLE = 100; // so many jobs of a queue are added one by one, the others in a bulk
const ADAPTER = ["setQueues", "setViewsPath", "setStaticPath", "setUIConfig", "setEntryRoute", "setErrorHandler", "setApiRoutes"];

const [command, socket, ...names] = process.argv.slice(2);
const connection = { path: socket, maxRetriesPerRequest: null };

// Adds the jobs on stdin to each queue; the ids.
async function add() {
  const jobs = JSON.parse(await text(process.stdin));
  return withQueues(async (queue) => {
    const single = jobs.slice(0, SINGLE).map(({ name, data, opts }) => queue.add(name, data, opts));
    const added = [...(await Promise.all(single)), ...(await queue.addBulk(jobs.slice(SINGLE)))];
    return added.map((job) => job.id);
  });
}

// Runs what it gets of each queue until stdin ends.
async function work() {
  const redis = new Redis(connection);
  const run = async (job) => {
    await redis.hincrby("runs:node", `${job.queueName} ${job.id}`, 1);
    if (job.attemptsMade < job.data.fails) throw new Error("on purpose");
  };
  const workers = names.map((name) => new Worker(name, run, { connection, concurrency: 4 }));
  for (const worker of workers) worker.on("error", (error) => console.error(error));
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  console.log("ready");
  await text(process.stdin);
  await Promise.all(workers.map((worker) => worker.close()));
  await redis.quit();
}

// The counts that Bull Board's page has of each queue.
async function board() {
  const given = {};
  const serverAdapter = {};
  for (const setter of ADAPTER) serverAdapter[setter] = (value) => ((given[setter] = value), serverAdapter);
  const { addQueue } = createBullBoard({ queues: [], serverAdapter, options: { validateResponses: true } });
  const { handler } = given.setApiRoutes.find(({ route }) => route === "/api/queues");
  return withQueues(async (queue, index) => {
    addQueue(new BullMQAdapter(queue));
    const { body } = await handler({ queues: given.setQueues, query: {}, uiConfig: {} });
    return body.queues[index].counts;
  });
}

async function withQueues(act) {
  const queues = names.map((name) => new Queue(name, { connection }));
  const results = await Promise.all(queues.map(async (queue, index) => [queue.name, await act(queue, index)]));
  await Promise.all(queues.map((queue) => queue.close()));
  return Object.fromEntries(results);
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const answer = await { add, work, board }[command]();
if (answer) console.log(JSON.stringify(answer));
