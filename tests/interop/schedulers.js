// Node's BullMQ beside the engine: `node schedulers.js SOCKET PREFIX upsert|get|work QUEUE ARGUMENT`, answers in JSON.
const { Queue, Worker } = require("bullmq");

const [socket, prefix, command, name, argument] = process.argv.slice(2);
const options = { prefix, connection: { path: socket, maxRetriesPerRequest: null } };

const commands = {
  async upsert() {
    const { id, repeat, template } = JSON.parse(argument);
    const job = await withQueue((queue) => queue.upsertJobScheduler(id, repeat, template));
    return { id: job.id };
  },
  get: () => withQueue((queue) => queue.getJobScheduler(argument)),
  // Runs as many jobs as the argument says.
  work: () =>
    new Promise((resolve) => {
      const ids = [];
      const worker = new Worker(
        name,
        async (job) => {
          ids.push(job.id);
          if (ids.length === Number(argument)) worker.close().then(() => resolve(ids));
        },
        options,
      );
    }),
};

async function withQueue(work) {
  const queue = new Queue(name, options);
  try {
    return await work(queue);
  } finally {
    await queue.close();
  }
}

commands[command]().then(
  (answer) => console.log(JSON.stringify(answer)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
