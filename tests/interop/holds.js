// Node's BullMQ on a queue that is held: `node holds.js SOCKET PREFIX work|event|get QUEUE ARGUMENT`, answers in JSON.
const { Queue, QueueEvents, Worker } = require("bullmq");

const [socket, prefix, command, name, argument] = process.argv.slice(2);
const options = { prefix, connection: { path: socket, maxRetriesPerRequest: null } };

const commands = {
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
  // What the first event of that name says.
  event: () =>
    new Promise((resolve) => {
      const events = new QueueEvents(name, { ...options, lastEventId: "0" });
      events.once(argument, (args) => events.close().then(() => resolve(args)));
    }),
  async get() {
    const queue = new Queue(name, options);
    const job = await queue.getJob(argument);
    const answer = { state: await job.getState(), failedReason: job.failedReason, attemptsMade: job.attemptsMade };
    await queue.close();
    return answer;
  },
};

commands[command]().then(
  (answer) => console.log(JSON.stringify(answer)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
