import { VERSION } from "../version.ts";

/**
 * Sends the agents' traces to an OpenTelemetry collector. Loaded only where one is configured.
 *
 * @param endpoint base URL of the collector's OTLP/HTTP receiver
 * @returns a function that sends what is left and stops
 */
export async function startTracing(endpoint: string): Promise<() => Promise<void>> {
  const [{ telemetry }, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all(
    [
      import("@livekit/agents"),
      import("@opentelemetry/sdk-trace-node"),
      import("@opentelemetry/exporter-trace-otlp-proto"),
      import("@opentelemetry/resources"),
    ],
  );
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces` });
  const redaction = new telemetry.FanoutSpanProcessor();
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": "parley", "service.version": VERSION }),
    // The first takes out what people said, the second sends a span on.
    spanProcessors: [redaction, new sdk.BatchSpanProcessor(exporter)],
  });
  provider.register();
  telemetry.setTracerProvider(provider, {
    registerSpanProcessor: (processor) => redaction.add(processor),
    allowPii: false,
  });
  return () => provider.shutdown();
}
