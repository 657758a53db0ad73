// Node's BullMQ straight to Redis: `node enqueue_node.js SOCKET SECONDS`, prints adds per second as JSON.
const path = require("node:path");
const { Queue } = require(path.join(__dirname, "../tests/interop/node_modules/bullmq"));

const DATA = { to: "a@example.com", text: "x".repeat(200) };
const BULK = Array.from({ length: 1000 }, () => ({ name: "job", data: DATA }));

async function rate(seconds, add, size) {
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < seconds * 1000) {
    await add();
    count += size;
  }
  return (count / (performance.now() - started)) * 1000;
}

async function main() {
  const [socket, seconds] = process.argv.slice(2);
  const queue = new Queue("node", { connection: { path: socket, maxRetriesPerRequest: null } });
  await rate(0.5, () => queue.add("job", DATA), 1);
  const one = await rate(seconds, () => queue.add("job", DATA), 1);
  const concurrent = await rate(
    seconds,
    () => Promise.all(Array.from({ length: 50 }, () => queue.add("job", DATA))),
    50,
  );
  const bulk = await rate(seconds, () => queue.addBulk(BULK), 1000);
  const bulks = await rate(
    seconds,
    () => Promise.all(Array.from({ length: 4 }, () => queue.addBulk(BULK))),
    4000,
  );
  console.log(JSON.stringify([one, concurrent, bulk, bulks]));
  await queue.close();
}

main();
