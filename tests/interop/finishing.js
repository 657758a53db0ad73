// Node's BullMQ as a worker, `node finishing.js SOCKET PREFIX QUEUE COUNT`: runs COUNT jobs, each ends as its data says.
const { Worker } = require("bullmq");

const [socket, prefix, name, count] = process.argv.slice(2);
const connection = { path: socket, maxRetriesPerRequest: null };
let left = Number(count);

async function run(job) {
  if ("fails" in job.data) throw new Error(job.data.fails);
  return job.data.returns;
}

const worker = new Worker(name, run, { prefix, connection, concurrency: 5 });
const note = () => {
  left -= 1;
  if (!left) worker.close();
};
worker.on("completed", note);
worker.on("failed", (job) => {
  if (job.attemptsMade >= (job.opts.attempts || 1)) note();
});
