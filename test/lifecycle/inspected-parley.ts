import { join } from "node:path";
import { pino } from "pino";
import { z } from "zod";
import { createRoomService, type RoomService } from "../../src/livekit/rooms.ts";
import { type LiveKitServer, startLiveKitServer } from "../../src/livekit/server-process.ts";
import { testBinary } from "../livekit-binary.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../stand-in/openai.ts";

/** What a process holds after a garbage collection. */
const holdings = z.object({
  /** Bytes; `anonymous` is what was allocated, without files and code (Linux). */
  rss: z.number(),
  anonymous: z.number(),
  heapUsed: z.number(),
  descriptors: z.number(),
  threads: z.number(),
  /** Of rtc-node's event client: one a room, audio stream and open question. */
  rtcListeners: z.number(),
  /** Of the global `process`. */
  processListeners: z.number(),
  timers: z.number(),
});
export type Holdings = z.infer<typeof holdings>;

const objects = z.record(z.string(), z.number());

/** A running Parley with a window into it, the provider it uses, and a LiveKit of the test's own. */
export interface InspectedParley extends AsyncDisposable {
  parley: Parley;
  ai: StandIn;
  livekit: LiveKitServer;
  rooms: RoomService;
  look(): Promise<Holdings>;
  /** Lets an exception or a rejection happen that nobody handles. */
  surprise(kind: "throw" | "reject"): Promise<void>;
  /** Live objects of the classes that each session makes. */
  objects(): Promise<Record<string, number>>;
}

/** Variables that point at a LiveKit server. */
export function liveKitEnv({ url, apiKey, apiSecret }: LiveKitServer): Record<string, string> {
  return { LIVEKIT_URL: url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret };
}

/** Starts a livekit-server that belongs to the test. */
export async function startLiveKit(): Promise<LiveKitServer> {
  const logger = pino({ level: "silent" });
  const server = startLiveKitServer({ binary: () => testBinary(), logger });
  await server.ready();
  return server;
}

/** Starts all of it and waits until a conversation can begin. */
export async function startInspectedParley(
  options: StandInOptions & { env?: Record<string, string> },
): Promise<InspectedParley> {
  const { env, ...standIn } = options;
  await using opening = new AsyncDisposableStack();
  const ai = opening.use(await startStandIn(standIn));
  const livekit = opening.use(await startLiveKit());
  const parley = opening.use(
    await startParley({
      command: [process.execPath, join(import.meta.dir, "inspected-main.ts")],
      env: { ...providerEnv(ai.url, standIn.realtime ?? true), ...liveKitEnv(livekit), ...env },
    }),
  );
  await parley.ready();
  const { url } = await parley.logged(({ msg }) => msg === "window");
  const ask = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json();
  const all = opening.move();
  return {
    parley,
    ai,
    livekit,
    rooms: createRoomService(livekit),
    look: async () => holdings.parse(await ask("/holdings")),
    surprise: async (kind) => void (await fetch(`${url}/${kind}`)),
    objects: async () => objects.parse(await ask("/objects")),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
