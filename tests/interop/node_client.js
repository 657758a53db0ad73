// Node's own BullMQ on the test's Valkey: `node node_client.js SOCKET add|get QUEUE ARGUMENT`, answers in JSON.
const { Queue } = require("bullmq");

async function main() {
  const [socket, command, name, argument] = process.argv.slice(2);
  const queue = new Queue(name, { connection: { path: socket, maxRetriesPerRequest: null } });
  const answer = command === "add" ? await add(queue, JSON.parse(argument)) : await get(queue, argument);
  console.log(JSON.stringify(answer));
  await queue.close();
}

async function add(queue, { name, data, opts }) {
  const job = await queue.add(name, data, opts);
  return { id: job.id };
}

async function get(queue, id) {
  const job = await queue.getJob(id);
  return {
    name: job.name,
    data: job.data,
    state: await job.getState(),
    returnvalue: job.returnvalue,
    failedReason: job.failedReason,
    attemptsMade: job.attemptsMade,
    stacktraces: (job.stacktrace || []).length,
    progress: job.progress,
    opts: job.opts,
    counts: await queue.getJobCounts(),
  };
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
