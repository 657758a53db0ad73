// Node's BullMQ: `node dispatch_node.js noop|fetch|undici SOCKET URL QUEUE CONCURRENCY`, until it is killed.
const path = require("node:path");
const modules = path.join(__dirname, "../tests/interop/node_modules");
const { Worker } = require(path.join(modules, "bullmq"));
const { Pool } = require(path.join(modules, "undici"));

const [kind, socket, url, name, concurrency] = process.argv.slice(2);
const target = new URL(url);
const headers = { "content-type": "application/json" };

// What a delivery carries, too.
const bodyOf = (job) =>
  JSON.stringify({ id: job.id, name: job.name, data: job.data, opts: job.opts, attemptsMade: job.attemptsMade });

function processor() {
  if (kind === "noop") return async () => null;
  if (kind === "fetch")
    return async (job) => (await fetch(url, { method: "POST", headers, body: bodyOf(job) })).json();
  const pool = new Pool(target.origin, { connections: Number(concurrency) });
  return async (job) => {
    const { body } = await pool.request({ method: "POST", path: target.pathname, headers, body: bodyOf(job) });
    return body.json();
  };
}

const worker = new Worker(name, processor(), {
  connection: { path: socket, maxRetriesPerRequest: null },
  concurrency: Number(concurrency),
});
worker.on("error", (error) => console.error(error));
