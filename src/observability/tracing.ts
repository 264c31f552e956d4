import { withDeadline } from "../lib/deadline.ts";
import { VERSION } from "../version.ts";

/** How long the last traces may take to reach the collector. */
const FLUSH_MS = 1000;

/**
 * Sends the agents' traces to an OpenTelemetry collector. Loaded only where one is configured.
 *
 * @param endpoint base URL of the collector's OTLP/HTTP receiver
 * @returns a function that sends what is left and stops, within 1 s; it rejects if that fails
 */
export async function startTracing(endpoint: string): Promise<() => Promise<void>> {
  const [{ trace }, { telemetry }, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] =
    await Promise.all([
      import("@opentelemetry/api"),
      import("@livekit/agents"),
      import("@opentelemetry/sdk-trace-node"),
      import("@opentelemetry/exporter-trace-otlp-proto"),
      import("@opentelemetry/resources"),
    ]);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces` });
  const redaction = new telemetry.FanoutSpanProcessor();
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": "parley", "service.version": VERSION }),
    // The first takes out what people said, the second sends a span on.
    spanProcessors: [redaction, new sdk.BatchSpanProcessor(exporter)],
  });
  try {
    provider.register();
    telemetry.setTracerProvider(provider, {
      registerSpanProcessor: (processor) => redaction.add(processor),
      allowPii: false,
    });
  } catch (error) {
    // Otherwise the next try would find this provider registered.
    trace.disable();
    await provider.shutdown();
    throw error;
  }
  return () => withDeadline(provider.shutdown(), FLUSH_MS, "sending the last traces");
}
