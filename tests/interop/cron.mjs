// Print the next times of cron patterns as BullMQ computes them: [pattern, tz, after] on stdin, moments or null on stdout.
import { getNextMillis } from "bullmq";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const next = ([pattern, tz, after]) => {
  try {
    return getNextMillis(after, { pattern, tz }) ?? null;
  } catch {
    return null;
  }
};
console.log(JSON.stringify(JSON.parse(Buffer.concat(chunks)).map(next)));
