// Adds one job with bullmq-otel, under a span of the producer. It prints the trace id.
import { context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { Queue } from "bullmq";
import { BullMQOtel } from "bullmq-otel";
import { Redis } from "ioredis";

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "node" }),
  spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
const connection = new Redis(process.env.TEST_SOCKET, { maxRetriesPerRequest: null });
const queue = new Queue("orders", { connection, prefix: "shop", telemetry: new BullMQOtel("producer") });
const span = trace.getTracer("producer").startSpan("checkout");
await context.with(trace.setSpan(context.active(), span), () => queue.add("order", { n: 1 }, { jobId: "order-1" }));
span.end();
console.log(span.spanContext().traceId);
await queue.close();
await provider.shutdown();
connection.disconnect();
