import { join } from "node:path";
import type { Hono } from "hono";
import type { Logger } from "pino";
import { loadAgentStack } from "./agent/agent-stack.ts";
import type { Config } from "./config.ts";
import { databaseCheck, sizeOf } from "./db/check.ts";
import { Maintenance } from "./db/maintenance.ts";
import { type Database, openDatabase } from "./db/open.ts";
import { lockDatabase } from "./db/process-lock.ts";
import { SqliteSessionLog } from "./db/session-log.ts";
import { SqliteSessionStore } from "./db/session-store.ts";
import { SqliteTranscriptStore } from "./db/transcript-store.ts";
import { noOtherNodes, type OtherNodes } from "./domain/other-nodes.ts";
import { STAGES } from "./domain/stage.ts";
import type { SessionLog, SessionStore } from "./domain/stores.ts";
import { createAssets } from "./http/assets.ts";
import { type Auth, loadCookieKey, openAuth, passwordAuth } from "./http/auth.ts";
import { answerOutside } from "./http/error-handler.tsx";
import { listen, stopListening } from "./http/listen.ts";
import { drainRoutes } from "./http/routes/drain.ts";
import { modelRoutes } from "./http/routes/models.tsx";
import { offerOf, offerRoutes } from "./http/routes/offer.tsx";
import { pageRoutes } from "./http/routes/pages.tsx";
import { providerRoutes } from "./http/routes/providers.tsx";
import { sessionRoutes } from "./http/routes/sessions.ts";
import { stageTestRoutes } from "./http/routes/stage-tests.tsx";
import { statusRoutes } from "./http/routes/status.ts";
import { tokenRoutes } from "./http/routes/tokens.ts";
import {
  transcriptSocketHandlers,
  transcriptSocketRoutes,
} from "./http/routes/transcript-socket.ts";
import { transcriptRoutes } from "./http/routes/transcripts.ts";
import { createServer } from "./http/server.ts";
import { ClosingGroup } from "./lib/closing-group.ts";
import { lazy } from "./lib/lazy.ts";
import { type LiveKitAccess, openLiveKit } from "./livekit/livekit.ts";
import { createRoomService } from "./livekit/rooms.ts";
import { agentToken, userToken } from "./livekit/tokens.ts";
import { openLocalModels } from "./models/local-models.ts";
import type { ModelLibrary } from "./models/model-library.ts";
import type { RecommendedSetup } from "./models/offline-setup.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { lazyMetrics } from "./observability/lazy-metrics.ts";
import type { Metrics } from "./observability/metrics.ts";
import { ProviderCheck } from "./providers/provider-check.ts";
import {
  type CreateEngine,
  openProviderChoice,
  type ProviderChoice,
} from "./providers/provider-choice.ts";
import { listenTo, testStage } from "./providers/stage-test.ts";
import type { Resources } from "./resources.ts";
import { localLeases } from "./session/local-leases.ts";
import { SessionManager } from "./session/session-manager.ts";
import { startWarmUp } from "./session/warm-up.ts";
import { type ChannelLayer, LocalChannelLayer } from "./transcript/channel-layer.ts";
import { Hub } from "./transcript/hub.ts";

export interface AppOptions {
  config: Config;
  logger: Logger;
  /** What Parley brings beside its code. */
  resources: Resources;
  /** What the search for livekit-server, and its build, may use (`PATH`, proxies). */
  environment: Readonly<Record<string, string | undefined>>;
  /** Creates the engine for local models; undefined for a program without one. */
  createEngine?: CreateEngine | undefined;
  /** What language models compute on, for people; undefined if no GPU is wished. */
  gpuNotice?(): string | undefined;
  /** How many errors reached no handler so far. */
  uncaughtErrors?(): number;
}

export interface App extends AsyncDisposable {
  /** Where Parley listens, with the actual port if `PORT` is 0. */
  readonly url: string;
  readonly conversations: Pick<SessionManager, "liveCount" | "drain" | "drainBegun">;
}

/** How long a stop waits for requests that are being answered, in ms. */
const LAST_ANSWERS_MS = 250;
/** How long each step of a stop may take, in ms; together less than `STOP_MS` of `serve`. */
const CLOSE_MS = {
  sessions: 5000,
  clients: 300,
  server: 500,
  services: 2000,
  layer: 1000,
  maintenance: 500,
};

/**
 * Wires everything and listens: the one place that knows all parts. LiveKit's server starts in the
 * background; the agent stack, two thirds of Parley's memory, loads when a conversation is likely.
 * A session that starts earlier waits for both.
 *
 * @throws Failure when the database cannot be used or the port is taken; nothing is left open then
 */
export async function startApp(options: AppOptions): Promise<App> {
  const { config, logger, resources } = options;
  // Closed in reverse order: sessions end, then clients are disconnected, then the server stops,
  // then what they needed, and the database last.
  await using opening = new AsyncDisposableStack();
  const closing = () => opening.use(new ClosingGroup(logger));
  const maintenance = await resources.database();
  const lock = opening.use(lockDatabase(config.databasePath));
  const announce = () => logger.info("updating the database; a very long history takes a minute");
  const database = opening.use(openDatabase(config.databasePath, resources.migrations(), announce));
  const upkeep = new Maintenance({ database, module: maintenance, logger });
  closing().use("the maintenance", CLOSE_MS.maintenance, upkeep);
  const sessions = new SqliteSessionStore(database);
  const transcripts = new SqliteTranscriptStore(database);
  const { layer, leases, others } = closing().use(
    "the other Parleys",
    CLOSE_MS.layer,
    await openNodes(config, transcripts, logger, () => manager),
  );

  const services = openServices(options, closing());
  const { livekit, stack, providers, models } = services;
  let server: Bun.Server<unknown> | undefined;
  closing().use("the HTTP server", CLOSE_MS.server, {
    [Symbol.asyncDispose]: async () => server && stopListening(server, LAST_ANSWERS_MS),
  });
  const hub = closing().use("the transcripts", CLOSE_MS.clients, new Hub({ layer, logger }));
  const metrics = lazyMetrics(
    {
      liveSessions: () => manager.liveCount,
      socketClients: () => hub.connectionCount,
      databaseBytes: () => sizeOf(database),
      unstoredEvents: () => manager.unstored,
      livekitRestarts: () => livekit.restarts,
      runners: () => providers.runners(),
      uncaughtErrors: options.uncaughtErrors ?? (() => 0),
      redisBacklog: () => layer.backlog,
    },
    logger,
  );
  const log = new SqliteSessionLog({
    database,
    publish: (envelope) => {
      layer.publish(envelope);
      metrics.observe(envelope);
    },
    written: metrics.stored,
  });
  const manager: SessionManager = closing().use(
    "the conversations",
    CLOSE_MS.sessions,
    new SessionManager({
      config,
      stages: (mode) => providers.stages(mode),
      sessions,
      log,
      stack: stack.get,
      livekit,
      token: (room, identity) => agentToken({ ...livekit, room, identity, name: "Parley" }),
      leases,
      providers: services.check,
      languagesOf: (modelId) => models.languagesOf(modelId),
      startFailed: metrics.startFailed,
      logger,
    }),
  );
  const warmUp = opening.use(
    startWarmUp([livekit.ready(), resources.speech()], { stack: stack.get, logger }),
  );

  const stores = { database, sessions: manager.sessions, transcripts, others, layer, hub };
  const parts = { ...stores, ...services };
  const http = createHttp(options, { ...parts, metrics, manager, warmUp: warmUp.begin });
  server = listen(config, http.fetch, transcriptSocketHandlers(hub), answerOutside(logger));
  // No request is answered before this is done, and nothing has changed if the port is taken.
  endCrashed(log, logger);
  const url = server.url.origin;
  lock.announce(url);
  logger.info({ url }, "listening");
  const running = opening.move();
  return { url, conversations: manager, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** What conversations need beside the database: each part closes with the others of `group`. */
function openServices(options: AppOptions, group: ClosingGroup) {
  const { config, logger, resources } = options;
  const open = <T extends AsyncDisposable>(name: string, part: T) =>
    group.use(name, CLOSE_MS.services, part);
  const livekit = open("LiveKit", openLiveKit(liveKitOptions(options)));
  const tracing = open("tracing", lazyTracing(config.otlpEndpoint));
  const loadStack = async () => {
    await tracing.get();
    const { vadModel } = await resources.speech();
    return loadAgentStack(logger, vadModel);
  };
  const stack = open(
    "the agent stack",
    lazy(loadStack, (loaded) => loaded.close()),
  );
  const check = new ProviderCheck();
  const providers = open("the engine", openProviderChoice(config, check, options.createEngine));
  const { dataDir, modelsCatalog, huggingFace } = config;
  const language = config.language ?? undefined;
  const hasEngine = options.createEngine !== undefined;
  const { models, offline } = open(
    "the downloads",
    openLocalModels({
      dataDir,
      modelsCatalog,
      huggingFace,
      hasEngine,
      language,
      providers,
      logger,
    }),
  );
  return { livekit, stack, check, providers, models, offline };
}

/** What the routes are made from. */
interface HttpParts {
  database: Database;
  sessions: SessionStore;
  transcripts: SqliteTranscriptStore;
  others: OtherNodes;
  layer: ChannelLayer;
  hub: Hub;
  livekit: LiveKitAccess;
  models: ModelLibrary;
  offline: RecommendedSetup;
  providers: ProviderChoice;
  check: ProviderCheck;
  metrics: Metrics;
  manager: SessionManager;
  warmUp(): void;
}

/** The HTTP server with the routes of every part; each takes what it needs. */
function createHttp(options: AppOptions, parts: HttpParts): Hono {
  const { config, logger, resources } = options;
  const { sessions, transcripts, others, hub, livekit, models, offline, providers, metrics } =
    parts;
  const assets = createAssets(resources.assets, config.dev);
  const auth = createAuth(config);
  const shell = { asset: assets.url, authEnabled: auth.enabled };
  const livekitUrl = () => livekit.publicUrl;
  return createServer({
    corsOrigins: config.corsOrigins,
    anyHost: config.authPassword !== undefined || config.authDisabled,
    ...{ livekitUrl, auth, assets, logger },
    routes: [
      statusRoutes({
        metrics,
        assertOpen: () => parts.manager.assertOpen(),
        checks: readyChecks(config, parts),
        seconds: () => secondChecks(providers),
      }),
      drainRoutes({ conversations: parts.manager }),
      tokenRoutes({
        assertOpen: (room) => parts.manager.assertOpen(room),
        livekitUrl,
        livekitReachable: () => livekit.reachable(),
        userToken: (grant) => userToken({ ...livekit, ...grant }),
        warmUp: parts.warmUp,
      }),
      sessionRoutes({ sessions, others, manager: parts.manager }),
      transcriptRoutes({ sessions, transcripts, others }),
      transcriptSocketRoutes({ hub }),
      modelRoutes({ models, providers, gpuNotice: options.gpuNotice, shell }),
      providerRoutes({ models, providers }),
      stageTestRoutes({
        test: (...of) => testStage(parts, ...of),
        listen: (...of) => listenTo(providers, ...of),
        models,
      }),
      offerRoutes({ models, providers, offline }),
      pageRoutes({
        ...{ sessions, transcripts, others, shell, livekitUrl },
        defaults: async () => ({
          systemPrompt: config.systemPrompt,
          greeting: config.greeting,
          language: config.language,
          keyterms: config.keyterms,
          ...providers.defaults(),
          speakers: await providers.speakersInUse(),
        }),
        offer: (language) => offerOf({ providers, models, offline }, language),
        now: Date.now,
        warmUp: parts.warmUp,
      }),
    ],
  });
}

/** What `/ready` asks of each part. */
function readyChecks(
  config: Config,
  parts: Pick<HttpParts, "database" | "livekit" | "layer" | "providers" | "manager">,
): Record<string, () => Promise<unknown>> {
  const { database, layer, providers, manager } = parts;
  const checkDatabase = databaseCheck(database);
  return {
    database: async () => {
      if (manager.storageFailure) throw manager.storageFailure;
      await checkDatabase();
    },
    livekit: () => createRoomService(parts.livekit).listRooms(),
    ...(config.redisUrl === undefined ? {} : { redis: () => layer.ping() }),
    ...Object.fromEntries(STAGES.map((stage) => [stage, () => providers.check(stage)])),
  };
}

/** What `/ready` asks of the second providers; a person may choose others at any time. */
function secondChecks(providers: ProviderChoice): Record<string, () => Promise<unknown>> {
  const stages = STAGES.filter((stage) => providers.hasSecond(stage));
  return Object.fromEntries(stages.map((stage) => [stage, () => providers.checkSecond(stage)]));
}

function createAuth(config: Config): Auth {
  if (config.authPassword === undefined) return openAuth();
  return passwordAuth(config.authPassword, loadCookieKey(join(config.dataDir, "cookie.key")));
}

/** One process uses a database, so every session that is open at a start was left by a crash. */
function endCrashed(log: SessionLog, logger: Logger): void {
  const crashed = log.unended();
  for (const id of crashed) log.end(id, "crashed");
  if (crashed.length > 0) {
    logger.warn({ sessions: crashed.length }, "ended sessions that a crash had left open");
  }
}

/** What Parley shares with others on its Redis, if it has one. */
async function openNodes(
  { redisUrl: url }: Config,
  transcripts: SqliteTranscriptStore,
  logger: Logger,
  manager: () => SessionManager,
): Promise<Nodes> {
  if (url === undefined) {
    const layer = new LocalChannelLayer({ log: transcripts, logger });
    const dispose = () => layer[Symbol.asyncDispose]();
    return { layer, leases: localLeases, others: noOtherNodes, [Symbol.asyncDispose]: dispose };
  }
  const { joinNodes } = await import("./nodes/nodes.ts");
  return joinNodes({
    ...{ url, log: transcripts, logger },
    own: {
      sessions: {
        find: (id) => manager().sessions.find(id),
        live: () => manager().sessions.live(),
      },
      transcripts,
      stop: (id, reason) => manager().stop(id, reason),
      say: (id, text) => manager().say(id, text),
    },
  });
}

function liveKitOptions({ config, logger, resources, environment }: AppOptions) {
  return {
    existing: config.livekit,
    publicUrl: config.livekitPublicUrl,
    bin: config.livekitServerBin,
    embedded: resources.livekitServer,
    dataDir: config.dataDir,
    env: environment,
    logger,
  };
}

/** Tracing, which starts before the agent stack so that the stack's spans reach it. */
function lazyTracing(endpoint: string | undefined) {
  return lazy(
    async () => {
      if (endpoint === undefined) return async () => {};
      const { startTracing } = await import("./observability/tracing.ts");
      return startTracing(endpoint);
    },
    (stop) => stop(),
  );
}
