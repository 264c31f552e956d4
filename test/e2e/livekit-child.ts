import { randomBytes } from "node:crypto";
import { createRoomService, type RoomService } from "../../src/livekit/rooms.ts";
import { serverConfig } from "../../src/livekit/server-process.ts";
import { testBinary } from "../livekit-binary.ts";
import { eventually } from "./wait.ts";

const HOST = "127.0.0.1";

/** A livekit-server at an address that is known before it runs, and stays when it is killed. */
export class LiveKitChild implements AsyncDisposable {
  readonly url: string;
  readonly apiKey = "test-livekit";
  readonly apiSecret = randomBytes(24).toString("hex");
  readonly rooms: RoomService;
  readonly #host: string;
  readonly #port: number;
  #child: Bun.Subprocess | undefined;

  /** @param host the address at which it listens, and the only one */
  constructor(host = HOST) {
    this.#host = host;
    this.#port = freePort(host);
    this.url = `ws://${host}:${this.#port}`;
    this.rooms = createRoomService(this);
  }

  /** What Parley needs to use it. */
  get env(): Record<string, string> {
    const { url, apiKey, apiSecret } = this;
    return { LIVEKIT_URL: url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret };
  }

  /** Starts it, unless it runs, and waits until it answers. */
  async start(): Promise<void> {
    if (this.#child) return;
    const { apiKey, apiSecret } = this;
    const port = this.#port;
    const host = this.#host;
    const at = { host, port, udpPort: await freeUdpPort(host) };
    const LIVEKIT_CONFIG = serverConfig({ ...at, apiKey, apiSecret });
    this.#child = Bun.spawn([await testBinary()], {
      env: { LIVEKIT_CONFIG },
      stdio: ["ignore", "ignore", "ignore"],
    });
    await eventually(
      "livekit-server answers",
      () => this.rooms.listRooms().catch(() => undefined),
      (rooms) => rooms !== undefined,
      10_000,
    );
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#child = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function freePort(hostname: string): number {
  const listener = Bun.listen({ hostname, port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

async function freeUdpPort(hostname: string): Promise<number> {
  const socket = await Bun.udpSocket({ hostname, port: 0, socket: {} });
  socket.close();
  return socket.port;
}
