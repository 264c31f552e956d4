import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Hono } from "hono";
import { z } from "zod";
import { readConfig } from "../src/config.ts";
import type { Database } from "../src/db/open.ts";
import { SqliteSessionLog } from "../src/db/session-log.ts";
import { SqliteSessionStore } from "../src/db/session-store.ts";
import { SqliteTranscriptStore } from "../src/db/transcript-store.ts";
import { noOtherNodes, type OtherNodes } from "../src/domain/other-nodes.ts";
import type { StageTest } from "../src/domain/provider.ts";
import type { Session, SessionRequest } from "../src/domain/session.ts";
import { Failure } from "../src/errors.ts";
import { createAssets } from "../src/http/assets.ts";
import { openAuth, passwordAuth } from "../src/http/auth.ts";
import { answerOutside } from "../src/http/error-handler.tsx";
import { listen } from "../src/http/listen.ts";
import { drainRoutes } from "../src/http/routes/drain.ts";
import { modelRoutes } from "../src/http/routes/models.tsx";
import { offerOf, offerRoutes } from "../src/http/routes/offer.tsx";
import { pageRoutes } from "../src/http/routes/pages.tsx";
import { providerRoutes } from "../src/http/routes/providers.tsx";
import { sessionRoutes } from "../src/http/routes/sessions.ts";
import { type StageTestDeps, stageTestRoutes } from "../src/http/routes/stage-tests.tsx";
import { type StatusDeps, statusRoutes } from "../src/http/routes/status.ts";
import { tokenRoutes } from "../src/http/routes/tokens.ts";
import {
  transcriptSocketHandlers,
  transcriptSocketRoutes,
} from "../src/http/routes/transcript-socket.ts";
import { transcriptRoutes } from "../src/http/routes/transcripts.ts";
import { createServer, type ServerOptions } from "../src/http/server.ts";
import { userToken } from "../src/livekit/tokens.ts";
import { openLocalModels } from "../src/models/local-models.ts";
import type { ModelLibrary } from "../src/models/model-library.ts";
import type { RecommendedSetup } from "../src/models/offline-setup.ts";
import { createMetrics } from "../src/observability/metrics.ts";
import {
  openProviderChoice,
  type ProviderChoice,
  type ProviderChoiceOptions,
} from "../src/providers/provider-choice.ts";
import { assetFolder } from "../src/resources.ts";
import { LocalChannelLayer } from "../src/transcript/channel-layer.ts";
import { Hub } from "../src/transcript/hub.ts";
import { sessionOf, temporaryDatabase, temporaryFolder } from "./database.ts";
import { idleSources, memoryLogger } from "./event-log.ts";

export const PASSWORD = "correct horse";
export const LIVEKIT_KEYS = { apiKey: "key", apiSecret: "a-secret-of-thirty-two-characters" };

export interface HttpOptions {
  /** Variables beside the defaults, such as `AUTH_PASSWORD`. */
  variables?: Record<string, string>;
  dev?: boolean;
  gpuNotice?: () => string | undefined;
  livekitUrl?: string;
  /** LiveKit can be reached if omitted. */
  livekitReachable?: () => Promise<void>;
  /** What servers are and offer; every server is there and takes every name if omitted. */
  servers?: Partial<ProviderChoiceOptions["servers"]>;
  /** Tries a stage. */
  testStage?: StageTestDeps["test"];
  /** Has a voice heard before it is chosen. */
  listen?: StageTestDeps["listen"];
  /** What `/ready` and `/metrics` look at. */
  status?: Partial<StatusDeps>;
  now?: () => number;
  /** A database of the caller's; a temporary one if omitted. */
  database?: Database;
  /** What requests may take. */
  bounds?: ServerOptions["bounds"];
  maxSockets?: number;
  /** Routes of a test's own. */
  routes?: readonly Hono[];
  /** The sessions of other nodes; there are none if omitted. */
  others?: OtherNodes;
}

/** Servers that are there, wherever they are looked for. */
export const agreeableServers: ProviderChoiceOptions["servers"] = {
  find: async ({ baseURL }) => ({ baseURL, models: undefined }),
  settle: async (_stage, wish) => wish,
  settled: () => undefined,
  offered: async (_stage, { baseURL }) => ({ baseURL, models: [], voices: [] }),
};

const noTest = async (): Promise<StageTest> => {
  throw new Failure("unavailable", "Nothing can be tested here.");
};

/** A session manager whose agents join no room: it records its calls and fails on request. */
export class FakeManager {
  readonly started: SessionRequest[] = [];
  readonly stopped: string[] = [];
  readonly said: [sessionId: string, text: string][] = [];
  /** Takes no more conversations. */
  draining = false;
  /** Thrown by every call until it is cleared. */
  failure: Error | undefined;
  readonly #log: SqliteSessionLog;
  /** Rooms that have had a session. */
  readonly #rooms = new Set<string>();

  constructor(log: SqliteSessionLog) {
    this.#log = log;
  }

  #fail(): void {
    if (this.failure) throw this.failure;
  }

  async start(request: SessionRequest): Promise<Session> {
    this.#fail();
    const { room, identity = null } = request;
    if (this.#rooms.has(room)) throw new Failure("conflict", "The room has a conversation.");
    const session = sessionOf({ room, identity });
    this.#log.begin(session);
    this.#rooms.add(room);
    this.started.push(request);
    return session;
  }

  async stop(sessionId: string): Promise<void> {
    this.#fail();
    this.stopped.push(sessionId);
    this.#log.end(sessionId, "stopped");
  }

  async drain(): Promise<void> {
    this.draining = true;
  }

  get liveCount(): number {
    return this.started.length - this.stopped.length;
  }

  readonly assertOpen = (_room?: string): void => {
    if (this.draining)
      throw new Failure("unavailable", "Parley is about to restart.", { retryAfter: 30 });
  };

  async say(sessionId: string, text: string): Promise<void> {
    this.#fail();
    this.said.push([sessionId, text]);
  }
}

/** Sends a request to the app, as a guest or with a cookie or bearer token. */
export type Caller = (path: string, init?: RequestInit) => Promise<Response>;

export interface HttpSide extends AsyncDisposable {
  app: Hono;
  database: Database;
  manager: FakeManager;
  log: SqliteSessionLog;
  sessions: SqliteSessionStore;
  transcripts: SqliteTranscriptStore;
  hub: Hub;
  logger: ReturnType<typeof memoryLogger>;
  providers: ProviderChoice;
  models: ModelLibrary;
  offline: RecommendedSetup;
  dataDir: string;
  guest: Caller;
  /** The same with the password as a bearer. */
  user: Caller;
  /** Signs in through the form and answers the cookie. */
  signIn(password?: string): Promise<string>;
}

/** Fast and with memory, so that what is recommended does not depend on where the tests run. */
const ENGINE_ON_FAST_MACHINE = {
  hasEngine: true,
  machine: async () => ({
    memory: 16 * 2 ** 30,
    speed: { multiplyAddsPerSecond: 1e12, bytesPerSecond: 1e11 },
    measured: {},
  }),
};

/** The whole HTTP side over SQLite in a temporary folder, with a fake session manager. */
export function openHttp(options: HttpOptions = {}): HttpSide {
  const { others = noOtherNodes, variables = {}, now = Date.now } = options;
  const { testStage: test = noTest, listen = noTest } = options;
  const livekitUrl = () => options.livekitUrl ?? "ws://127.0.0.1:7880";
  const open = new AsyncDisposableStack();
  const database = options.database ?? open.use(temporaryDatabase()).database;
  const sessions = new SqliteSessionStore(database);
  const transcripts = new SqliteTranscriptStore(database);
  const logger = memoryLogger();
  const layer = open.use(new LocalChannelLayer({ log: transcripts, logger }));
  const hub = open.use(new Hub({ layer, logger }));
  const log = new SqliteSessionLog({ database, publish: (envelope) => layer.publish(envelope) });
  const dataDir = open.use(temporaryFolder()).path;
  const config = { ...readConfig(variables, { dev: options.dev ?? false }), dataDir };
  const providers = open.use(
    openProviderChoice(config, { servers: { ...agreeableServers, ...options.servers } }),
  );
  const { modelsCatalog } = config;
  const { models, offline } = open.use(
    openLocalModels({ ...ENGINE_ON_FAST_MACHINE, dataDir, modelsCatalog, providers, logger }),
  );
  const manager = new FakeManager(log);
  const assets = createAssets(assetFolder(open.use(publicFolder()).path), false);
  const auth = config.authPassword
    ? passwordAuth(config.authPassword, Buffer.alloc(32, 7), now)
    : openAuth();
  const shell = { asset: assets.url, authEnabled: auth.enabled };
  const metrics = createMetrics({
    ...idleSources,
    socketClients: () => hub.connectionCount,
  });
  const app = createServer({
    corsOrigins: config.corsOrigins,
    anyHost: config.authPassword !== undefined || config.authDisabled,
    ...{ livekitUrl, auth, assets, logger, bounds: options.bounds },
    routes: [
      ...(options.routes ?? []),
      statusRoutes({ checks: {}, metrics, assertOpen: manager.assertOpen, ...options.status }),
      drainRoutes({ conversations: manager }),
      tokenRoutes({
        ...{ livekitUrl, livekitReachable: options.livekitReachable ?? (async () => {}) },
        assertOpen: manager.assertOpen,
        userToken: (grant) => userToken({ ...LIVEKIT_KEYS, ...grant }),
        warmUp: () => {},
      }),
      sessionRoutes({ sessions, others, manager }),
      transcriptRoutes({ sessions, transcripts, others }),
      transcriptSocketRoutes({ hub, maxSockets: options.maxSockets }),
      modelRoutes({ models, providers, gpuNotice: options.gpuNotice, shell }),
      providerRoutes({ models, providers }),
      stageTestRoutes({ test, listen, models }),
      offerRoutes({ models, providers, offline }),
      pageRoutes({
        ...{ sessions, transcripts, others, shell, livekitUrl, now },
        defaults: async () => ({
          ...{ systemPrompt: "Be brief.", language: config.language, keyterms: config.keyterms },
          ...providers.defaults(),
          speakers: await providers.speakersInUse(),
        }),
        offer: (language) => offerOf({ providers, models, offline }, language),
        warmUp: () => {},
      }),
    ],
  });
  const guest: Caller = async (path, init) => app.request(path, init);
  const user: Caller = (path, init) => {
    const headers = new Headers(init?.headers);
    headers.set("Authorization", `Bearer ${PASSWORD}`);
    return guest(path, { ...init, headers });
  };
  const signIn = async (password = PASSWORD) => {
    const response = await guest("/sign-in", form({ password }));
    return /^parley=[^;]*/.exec(response.headers.get("Set-Cookie") ?? "")?.[0] ?? "";
  };
  return {
    ...{ app, database, manager, sessions, transcripts, log, hub, logger, guest, user, signIn },
    ...{ providers, models, offline, dataDir },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

function publicFolder(): ReturnType<typeof temporaryFolder> {
  const folder = temporaryFolder();
  mkdirSync(join(folder.path, "build"));
  writeFileSync(join(folder.path, "parley.css"), "body { margin: 0 }\n".repeat(200));
  writeFileSync(join(folder.path, "build/chat.js"), "console.log(1);\n");
  writeFileSync(join(folder.path, "build/models.js"), "console.log(2);\n");
  return folder;
}

/** Serves the app as Parley does, on a free port. */
export function serveHttp({ app, hub, logger }: HttpSide, arrivalS?: number) {
  return listen(
    { host: "127.0.0.1", port: 0, arrivalS },
    app.fetch,
    transcriptSocketHandlers(hub),
    answerOutside(logger),
  );
}

/** A `POST` with a JSON body. */
export function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    method: "POST",
    body: text,
    headers: { "Content-Type": "application/json", ...headers },
  };
}

/** A `POST` as Parley's own HTML forms send it. */
export function form(fields: Record<string, string>, headers: Record<string, string> = {}) {
  return {
    method: "POST",
    body: new URLSearchParams(fields).toString(),
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      Origin: "http://localhost",
      Host: "localhost",
      ...headers,
    },
  };
}

const problem = z.strictObject({
  type: z.literal("about:blank"),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  errors: z.array(z.strictObject({ path: z.string(), message: z.string().min(1) })).optional(),
});

/**
 * Reads an answer as a problem document (RFC 9457).
 * @throws Error when it is none
 */
export async function problemOf(response: Response): Promise<z.infer<typeof problem>> {
  const type = response.headers.get("Content-Type");
  const text = await response.text();
  if (type !== "application/problem+json") throw new Error(`${response.status} ${type}: ${text}`);
  const read = problem.parse(JSON.parse(text));
  if (read.status !== response.status)
    throw new Error(`status ${read.status} in ${response.status}`);
  return read;
}
