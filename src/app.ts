import { hostname } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { type AgentStack, loadAgentStack } from "./agent/agent-stack.ts";
import {
  type AppParts,
  openChoice,
  openModels,
  pageDefaults,
  stageChecks,
} from "./app-providers.ts";
import type { Config } from "./config.ts";
import { type Database, openDatabase } from "./db/open.ts";
import { SessionStore } from "./db/session-store.ts";
import { TranscriptStore } from "./db/transcript-store.ts";
import { Failure, messageOf } from "./errors.ts";
import { createAssets } from "./http/assets.ts";
import { type Auth, loadCookieKey, openAuth, passwordAuth } from "./http/auth.ts";
import { transcriptSocketHandlers } from "./http/routes/transcript-socket.ts";
import { createServer } from "./http/server.ts";
import { createRoomService } from "./livekit/rooms.ts";
import { findLiveKitServer } from "./livekit/server-binary.ts";
import { startLiveKitServer } from "./livekit/server-process.ts";
import { agentToken, userToken } from "./livekit/tokens.ts";
import type { MetricSources, Metrics } from "./observability/metrics.ts";
import { ProviderCheck } from "./providers/provider-check.ts";
import type { Resources } from "./resources.ts";
import { AgentManager } from "./session/session-manager.ts";
import { startWarmUp } from "./session/warm-up.ts";
import { type ChannelLayer, LocalChannelLayer } from "./transcript/channel-layer.ts";
import { Hub } from "./transcript/hub.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Which machine runs a session, for whoever reads several databases. */
const NODE = hostname();

export interface App extends AsyncDisposable {
  /** Where Parley listens, with the port that was free if `PORT` is 0. */
  readonly url: string;
}

/** The LiveKit that sessions run on, be it Parley's own child or somebody's server. */
interface LiveKit extends AsyncDisposable {
  url: string;
  publicUrl: string;
  apiKey: string;
  apiSecret: string;
  ready: Promise<void>;
  /** What to do when it cannot be reached. */
  mend: string;
}

/**
 * Wires everything and listens. LiveKit's server starts behind that; the agent stack, which is two
 * thirds of Parley's memory, loads when somebody comes who may talk. A session that starts
 * meanwhile waits for both.
 *
 * @param resources what Parley brings with it
 * @param environment what the search for livekit-server, and its build, may use (`PATH`, proxies)
 * @throws Failure when the database cannot be used or the port is taken; nothing is left open then
 */
export async function startApp(
  config: Config,
  logger: Logger,
  resources: Resources,
  environment: Environment,
  parts: AppParts = {},
): Promise<App> {
  await using opening = new AsyncDisposableStack();
  await resources.database();
  const database = opening.use(openDatabase(config.databasePath, resources.migrations()));
  const sessions = new SessionStore(database);
  const transcripts = new TranscriptStore(database);
  transcripts.compact(Date.now());

  const layer = opening.use(await createLayer(config, transcripts, logger));
  endCrashed(sessions, layer, logger);

  // Closed in the reverse order: sessions end, then clients are told to go, then nobody listens.
  const livekit = opening.use(provideLiveKit(config, logger, resources, environment));
  const stack = opening.use(lazyStack(config, logger, resources));
  let server: Bun.Server<unknown> | undefined;
  opening.defer(() => server?.stop(true));
  const hub = opening.use(new Hub({ layer, log: transcripts, logger }));
  const providers = new ProviderCheck();
  const choice = opening.use(openChoice(config, providers, parts));
  const { models, offline } = opening.use(
    openModels(config, choice, logger, parts.createEngine !== undefined),
  );
  const metrics = lazyMetrics({
    liveSessions: () => agents.liveCount,
    socketClients: () => hub.connectionCount,
  });
  const agents: AgentManager = opening.use(
    new AgentManager({
      config,
      stages: () => choice.stages(),
      sessions,
      publish: (sessionId, event) => {
        hub.publish(sessionId, event);
        metrics.observe(event);
      },
      stack: stack.load,
      livekit,
      token: (room, identity) => agentToken({ ...livekit, room, identity, name: "Parley" }),
      providers,
      node: NODE,
      logger,
    }),
  );
  const assets = createAssets(resources.assets, config.dev);
  const auth = openGate(config);
  const warmUp = opening.use(
    startWarmUp([livekit.ready, resources.speech()], { stack: stack.load, logger }),
  );
  const http = createServer({
    config,
    logger,
    auth,
    assets,
    routes: {
      checks: { ...partChecks(config, database, livekit, layer), ...stageChecks(choice) },
      metrics,
      sessions,
      transcripts,
      agents,
      hub,
      livekitUrl: livekit.publicUrl,
      userToken: (grant) => userToken({ ...livekit, ...grant }),
      asset: assets.url,
      defaults: () => pageDefaults(config, choice),
      models,
      providers: choice,
      offline,
      authEnabled: auth.enabled,
      now: Date.now,
      expectConversation: warmUp.expectConversation,
    },
  });
  server = listen(config, http.fetch, transcriptSocketHandlers(hub));
  const url = server.url.origin;
  logger.info({ url }, "listening");
  const running = opening.move();
  return { url, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** What `/ready` asks of the parts that Parley itself is made of. */
function partChecks(
  config: Config,
  database: Database,
  livekit: LiveKit,
  layer: ChannelLayer,
): Record<string, () => Promise<unknown>> {
  const rooms = createRoomService(livekit);
  return {
    database: async () => database.handle.prepare("select 1").get(),
    livekit: () => rooms.listRooms(),
    ...(config.redisUrl === undefined ? {} : { redis: () => layer.ping() }),
  };
}

function openGate(config: Config): Auth {
  if (config.authPassword === undefined) return openAuth();
  return passwordAuth(config.authPassword, loadCookieKey(join(config.dataDir, "cookie.key")));
}

function endCrashed(sessions: SessionStore, layer: ChannelLayer, logger: Logger): void {
  const crashed = sessions.endCrashed(Date.now());
  for (const envelope of crashed) layer.publish(envelope);
  if (crashed.length > 0) {
    logger.warn({ sessions: crashed.length }, "ended sessions that a crash had left open");
  }
}

async function createLayer(
  config: Config,
  log: TranscriptStore,
  logger: Logger,
): Promise<ChannelLayer> {
  if (config.redisUrl === undefined) return new LocalChannelLayer({ log, logger });
  const { RedisChannelLayer } = await import("./transcript/redis.ts");
  return new RedisChannelLayer({ url: config.redisUrl, log, logger });
}

function provideLiveKit(
  config: Config,
  logger: Logger,
  resources: Resources,
  env: Environment,
): LiveKit {
  if (config.livekit) {
    return {
      ...config.livekit,
      ready: Promise.resolve(),
      mend: "Check LIVEKIT_URL and its keys, then try again.",
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const { livekitServerBin: bin, dataDir } = config;
  const { livekitServer: embedded } = resources;
  const own = startLiveKitServer({
    binary: (signal) => findLiveKitServer({ bin, embedded, dataDir, env, signal, logger }),
    logger,
  });
  return Object.assign(own, {
    publicUrl: config.livekitPublicUrl ?? own.url,
    mend: "Parley starts its own server again; try again in a moment. The log says what happened.",
  });
}

interface LazyStack extends AsyncDisposable {
  load(): Promise<AgentStack>;
}

function lazyStack(config: Config, logger: Logger, resources: Resources): LazyStack {
  let loading: Promise<AgentStack> | undefined;
  let stopTracing = async () => {};
  const load = async () => {
    if (config.otlpEndpoint !== undefined) {
      const { startTracing } = await import("./observability/tracing.ts");
      stopTracing = await startTracing(config.otlpEndpoint);
    }
    const { vadModel } = await resources.speech();
    return loadAgentStack(logger, vadModel);
  };
  return {
    load: () => {
      loading ??= load().catch((error: unknown) => {
        // The next session tries again.
        loading = undefined;
        throw error;
      });
      return loading;
    },
    [Symbol.asyncDispose]: async () => {
      const stack = await loading?.catch(() => undefined);
      await stack?.close();
      await stopTracing();
    },
  };
}

/** Metrics that load with the first event or reader: to listen does not wait for prom-client. */
function lazyMetrics(sources: MetricSources): Metrics {
  let loading: Promise<Metrics> | undefined;
  const load = () => {
    loading ??= import("./observability/metrics.ts").then((module) =>
      module.createMetrics(sources),
    );
    return loading;
  };
  return {
    observe: (event) => void load().then((metrics) => metrics.observe(event)),
    text: async () => (await load()).text(),
    contentType: "text/plain; version=0.0.4; charset=utf-8",
  };
}

function listen(
  config: Config,
  fetch: (request: Request, server: Bun.Server<unknown>) => Response | Promise<Response>,
  websocket: ReturnType<typeof transcriptSocketHandlers>,
): Bun.Server<unknown> {
  try {
    return Bun.serve({
      hostname: config.host,
      port: config.port,
      fetch,
      websocket,
      idleTimeout: 60,
    });
  } catch (error) {
    const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    const why = taken ? "another program listens there" : messageOf(error);
    throw new Failure(
      "unavailable",
      `Parley cannot listen on ${config.host}:${config.port}: ${why}. Set HOST and PORT to something else.`,
      { cause: error },
    );
  }
}
