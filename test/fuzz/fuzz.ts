import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { insertSession, sessionOf, temporaryFolder } from "../database.ts";
import { transcriptEvent } from "../event-log.ts";
import { type HttpSide, openHttp, PASSWORD, serveHttp } from "../http-harness.ts";
import { tinyModel } from "../model-server.ts";
import { exchange, openRawSocket, type RawResponse } from "../raw-http.ts";
import { type Conversation, conversations } from "./frames.ts";
import { bytesOf, type HttpRequest, requests, routesOf, UNKNOWN_METHODS } from "./requests.ts";

export interface FuzzOptions {
  /** Of fast-check; printed by a failure, which it repeats. */
  seed: number;
  /** Requests; each is sent as a guest and as a user. */
  requests: number;
  /** WebSockets, each with about six frames. */
  conversations: number;
}

export interface FuzzReport {
  requests: number;
  frames: number;
  routes: number;
  statuses: Record<string, number>;
  /** Resident memory after a tenth of the run and after all of it, in MiB. */
  memory: [early: number, late: number];
  descriptors: [before: number, after: number];
}

/** Memory that may come and go with the collector, in MiB. */
const SLACK_MIB = 100;
/** Descriptors that a program opens once, at the first use of something. */
const SLACK_DESCRIPTORS = 10;
const AUTHORIZATION: [string, string] = ["Authorization", `Bearer ${PASSWORD}`];
/** Server errors that SPEC.md describes, which no request of a fuzzer's can rule out. */
const DOCUMENTED: [status: number, target: RegExp][] = [[502, /\/providers\//]];

/**
 * Sends requests to every route and frames to a WebSocket, over TCP to a server of its own.
 *
 * @throws Error when one is answered with an undocumented 5xx or not at all, when something
 * unexpected is logged, when memory or descriptors grow, or when the server does not answer after it
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  await using stack = new AsyncDisposableStack();
  const catalog = join(stack.use(temporaryFolder()).path, "catalog.json");
  // Its files cannot be reached, so that a download fails at once.
  const models = [tinyModel("http://127.0.0.1:9", { "a.gguf": new Uint8Array(9) })];
  writeFileSync(catalog, JSON.stringify({ models }));
  const variables = { AUTH_PASSWORD: PASSWORD, MODELS_CATALOG: catalog };
  // Wrong passwords are a minute apart, so that they do not lock the user out.
  let clock = Date.now();
  const now = () => {
    clock += 60_000;
    return clock;
  };
  const http = stack.use(
    openHttp({
      now,
      variables,
      testStage: async (stage) => ({ stage, firstMs: 1, totalMs: 2, text: "" }),
    }),
  );
  // A Parley that is drained refuses what the next requests ask for.
  http.manager.drain = async () => {};
  const server = stack.use(serveHttp(http));
  const port = Number(server.port);
  const session = sessionOf();
  insertSession(http.database, session);
  http.log.append(session.id, transcriptEvent("hello", { started_at: session.started_at }));

  const routes = routesOf(http.app);
  const before = descriptors();
  const report: FuzzReport = {
    ...{ requests: 0, frames: 0, routes: routes.length, statuses: {} },
    ...{ memory: [0, 0], descriptors: [before, before] },
  };
  const sampleAfter = Math.max(1, Math.floor(options.requests / 10));
  const ask = fc.asyncProperty(requests(routes, [session.id, "tiny-llm"]), async (request) => {
    http.logger.lines.length = 0;
    if (report.requests >= 2 * sampleAfter && report.memory[0] === 0)
      report.memory[0] = mebibytes();
    for (const headers of [request.headers, [...request.headers, AUTHORIZATION]]) {
      const response = await exchange(port, bytesOf({ ...request, headers }), {
        // Otherwise the server waits for the rest of the body.
        ends: request.framing === "too long",
      });
      report.requests += 1;
      const status = String(response.status ?? "closed");
      report.statuses[status] = (report.statuses[status] ?? 0) + 1;
      assertAnswer(request, response);
    }
    assertQuiet(http);
  });
  await fc.assert(ask, { seed: options.seed, numRuns: options.requests });
  const talk = fc.asyncProperty(conversations, async (conversation) => {
    http.logger.lines.length = 0;
    report.frames += conversation.sent.length;
    await converse(port, `/ws/transcript/${session.id}`, conversation);
    assertQuiet(http);
  });
  await fc.assert(talk, { seed: options.seed, numRuns: options.conversations });
  await assertCalm(http, server, before);
  report.descriptors[1] = descriptors();
  report.memory[1] = mebibytes();
  if (report.memory[1] > report.memory[0] + SLACK_MIB) {
    throw new Error(`memory grew from ${report.memory[0]} to ${report.memory[1]} MiB`);
  }
  return report;
}

function assertAnswer(request: HttpRequest, { status, headers }: RawResponse): void {
  if (status === undefined) {
    // Bun closes such connections: SPEC.md, "Limits on requests".
    const { method, framing, target } = request;
    const isCut = UNKNOWN_METHODS.includes(method) || framing.startsWith("too");
    if (isCut || (method === "CONNECT" && !/^[/h]/.test(target))) return;
    throw new Error("the connection was closed without an answer");
  }
  // Bun's own answer to what is no HTTP/1.1.
  if (status === 505 && !headers.has("x-request-id")) return;
  const isDocumented = DOCUMENTED.some(([code, on]) => code === status && on.test(request.target));
  if (status >= 500 && !isDocumented) throw new Error(`answered with ${status}`);
  if (status < 400 || !headers.has("x-request-id")) return;
  const type = headers.get("content-type") ?? "";
  const isError = type === "application/problem+json" || type.startsWith("text/html");
  if (!isError && !headers.has("hx-redirect")) throw new Error(`an error of type ${type}`);
}

/** Opens a WebSocket, sends it all, and leaves once the server has closed it or read it. */
async function converse(port: number, path: string, { query, headers, sent }: Conversation) {
  const authorization = `${AUTHORIZATION.join(": ")}\r\n`;
  const { socket } = await openRawSocket(port, path + query, authorization + headers);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.resume();
  for (const bytes of sent) if (!socket.destroyed) socket.write(bytes);
  if (!socket.destroyed) socket.end();
  await closed;
}

/** @throws Error with what was logged unexpectedly */
function assertQuiet({ logger }: HttpSide): void {
  const errors = logger.lines.filter(({ level }) => Number(level) >= 50);
  if (errors.length > 0) throw new Error(`logged: ${JSON.stringify(errors)}`);
}

/** Waits until nothing is left of what was sent, and the server answers as ever. */
async function assertCalm(
  { hub }: HttpSide,
  server: Bun.Server<unknown>,
  descriptorsBefore: number,
): Promise<void> {
  const rest = () => ({
    requests: server.pendingRequests,
    sockets: server.pendingWebSockets,
    clients: hub.connectionCount,
    descriptors: Math.max(0, descriptors() - descriptorsBefore - SLACK_DESCRIPTORS),
  });
  const deadline = performance.now() + 60_000;
  while (Object.values(rest()).some((count) => count > 0)) {
    if (performance.now() > deadline) throw new Error(`left over: ${JSON.stringify(rest())}`);
    await Bun.sleep(50);
  }
  const answer = await exchange(
    Number(server.port),
    "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
  );
  if (answer.status !== 200) throw new Error(`/health is ${answer.status} afterwards`);
}

function mebibytes(): number {
  Bun.gc(true);
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}

function descriptors(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
}
