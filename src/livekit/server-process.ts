import type { Logger } from "pino";
import { randomText } from "../lib/random-text.ts";
import { type Command, SupervisedProcess, type SupervisedState } from "../lib/supervised.ts";
import { ServerLog } from "./server-log.ts";

export interface LiveKitServerOptions {
  /** Finds the executable; may take minutes the first time. The signal aborts on disposal. */
  binary: (signal: AbortSignal) => Promise<string>;
  logger: Logger;
  /** How long one server process may take until it answers. */
  startTimeoutMs?: number;
}

/** A livekit-server that Parley runs for itself. */
export interface LiveKitServer extends AsyncDisposable {
  /**
   * Known at once and the same over restarts, as are the keys. All change when another program
   * takes the port between two starts: it may have been sent tokens, and these are worth nothing.
   */
  readonly url: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly state: SupervisedState;
  /** The process that runs now. */
  readonly pid: number | undefined;
  /** How many processes were started in place of one that had ended. */
  readonly restarts: number;
  /**
   * Resolves when the server answers a request that is sent now; rejects with a Failure if it
   * cannot be started. After a failure each call is a new try.
   */
  ready(): Promise<void>;
  /** Whether the server answers now. */
  healthy(): Promise<boolean>;
}

const HOST = "127.0.0.1";

/**
 * Starts an embedded livekit-server on loopback and keeps it running until it is disposed.
 *
 * Returns at once; the address and the keys can be handed out before the server answers.
 */
export function startLiveKitServer(options: LiveKitServerOptions): LiveKitServer {
  return new EmbeddedServer(options);
}

class EmbeddedServer implements LiveKitServer {
  readonly #options: LiveKitServerOptions;
  readonly #process: SupervisedProcess;
  readonly #log: ServerLog;
  #keys = newKeys();
  #binary: string | undefined;

  constructor(options: LiveKitServerOptions) {
    this.#options = options;
    const { logger, startTimeoutMs } = options;
    this.#log = new ServerLog(logger, this.apiSecret);
    this.#process = new SupervisedProcess({
      name: "livekit-server",
      host: HOST,
      command: (port, signal) => this.#command(port, signal),
      // A server that hangs is replaced after 13 to 15 s: before LiveKit's clients give up (20 s),
      // and after any time that a busy machine keeps a healthy one waiting.
      health: { path: "/", body: "OK", timeoutMs: 3000, intervalMs: 2000, failures: 3 },
      output: this.#log,
      logger,
      startTimeoutMs,
      maxStarts: 5,
      firstBackoffMs: 250,
      stopSignals: [
        ["SIGTERM", 0],
        // The first makes it wait until all participants have left, the second does not.
        ["SIGTERM", 300],
        ["SIGKILL", 2000],
      ],
      failureMessage: (problem) => this.#failureMessage(problem),
      stoppedMessage: "LiveKit was stopped",
      onMoved: () => {
        this.#keys = newKeys();
        this.#log.secret = this.apiSecret;
      },
    });
    this.#process.start();
  }

  get url(): string {
    return `ws://${HOST}:${this.#process.port}`;
  }

  get apiKey(): string {
    return this.#keys.apiKey;
  }

  get apiSecret(): string {
    return this.#keys.apiSecret;
  }

  get restarts(): number {
    return this.#process.restarts;
  }

  ready(): Promise<void> {
    return this.#process.ready();
  }

  get state(): SupervisedState {
    return this.#process.state;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  healthy(): Promise<boolean> {
    return this.#process.healthy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }

  async #command(port: number, signal: AbortSignal): Promise<Command> {
    this.#binary ??= await this.#options.binary(signal);
    const config = serverConfig({
      host: HOST,
      port,
      // Chosen for each start: clients learn it only when they join.
      udpPort: await freeUdpPort(),
      apiKey: this.apiKey,
      apiSecret: this.apiSecret,
    });
    return {
      argv: [this.#binary],
      // Nothing else: livekit-server would also take NODE_IP, UDP_PORT and more from there.
      env: { LIVEKIT_CONFIG: config },
    };
  }

  #failureMessage(problem: string): string {
    const server =
      this.#binary === undefined ? "livekit-server" : `livekit-server (${this.#binary})`;
    return (
      `${server} ${problem}. Set LIVEKIT_SERVER_BIN to a binary that runs here, or LIVEKIT_URL to ` +
      "the address of a LiveKit server"
    );
  }
}

function newKeys(): { apiKey: string; apiSecret: string } {
  return { apiKey: `parley-${randomText(6, "hex")}`, apiSecret: randomText(32, "base64url") };
}

async function freeUdpPort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: HOST, port: 0, socket: {} });
  try {
    return socket.port;
  } finally {
    socket.close();
  }
}

/** What one start of the embedded server needs to know. */
export interface ServerSettings {
  host: string;
  /** Port for signalling (HTTP and WebSocket). */
  port: number;
  /** The one UDP port that carries the media of every participant. */
  udpPort: number;
  apiKey: string;
  apiSecret: string;
}

/**
 * The configuration of an embedded livekit-server. The server reads YAML, and JSON is YAML.
 *
 * Everything stays on `host`, a loopback address. ICE over TCP is off because livekit-server binds
 * that port on every interface whatever `bind_addresses` says; on loopback UDP always gets through.
 */
export function serverConfig(settings: ServerSettings): string {
  const { host, port, udpPort, apiKey, apiSecret } = settings;
  return JSON.stringify({
    port,
    bind_addresses: [host],
    keys: { [apiKey]: apiSecret },
    rtc: {
      udp_port: udpPort,
      tcp_port: 0,
      allow_tcp_fallback: false,
      // A fixed node address also keeps the server from asking STUN servers for one.
      node_ip: host,
      use_external_ip: false,
      // Clients would use LiveKit's default STUN servers, which are Google's: Google would see every
      // caller, and each connection would hold threads that resolve their names. Loopback needs no
      // STUN, but an empty list means the default, so this names an address that never answers.
      stun_servers: [`${host}:9`],
      enable_loopback_candidate: true,
      // Without it the UDP port would be open on every interface.
      ips: { includes: [`${host}/32`] },
    },
    room: { auto_create: true },
    limit: {
      // LiveKit counts UTF-8 bytes and Parley characters: 128 of them may be 512 bytes.
      max_room_name_length: 512,
      max_participant_identity_length: 512,
      max_participant_name_length: 512,
    },
    // One line of this level says that the server listens.
    logging: { json: true, level: "info" },
  });
}
