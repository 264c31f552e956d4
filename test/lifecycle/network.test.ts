import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { temporaryFolder } from "../database.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { type StandIn, startStandIn } from "../stand-in/openai.ts";

const ROOT = join(import.meta.dir, "../..");
const READY = z.object({ checks: z.record(z.string(), z.string()) });

const open = new AsyncDisposableStack();
let ai: StandIn;

beforeAll(async () => {
  ai = open.use(await startStandIn());
});
afterAll(() => open.disposeAsync());

/** A proxy that reaches nothing, and keeps the first line of what it is asked for. */
async function startProxy() {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (data) => {
      asked.push(data.toString("latin1").split("\r\n")[0] ?? "");
      socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

const NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

describe("with a proxy in the environment", () => {
  test.each([
    ["upper case", NAMES],
    ["lower case", NAMES.map((name) => name.toLowerCase())],
  ])("in %s, everything on this machine is reached directly", async (_, names) => {
    await using proxy = await startProxy();
    const proxies = Object.fromEntries(names.map((name) => [name, proxy.url]));
    // The address lacks its path, which is found on the way.
    const variables = { ...providerEnv(new URL(ai.url).origin, true), ...proxies };
    await using parley: Parley = await startParley({ env: variables });
    await parley.ready();
    const { checks } = await parley.json("/ready", READY);
    expect(new Set(Object.values(checks))).toEqual(new Set(["ok"]));
    const id = await parley.startSession({ room: "den" });
    await using listener = await parley.listen(id);
    const text = "Hello there.";
    expect((await parley.post(`/session/${id}/message`, { text })).ok).toBe(true);
    await listener.waitFor(
      ({ type, data }) => type === "transcript" && "final" in data && data.role === "agent",
    );
    expect(proxy.asked).toEqual([]);
  });

  test("other machines are reached through it", async () => {
    await using proxy = await startProxy();
    const child = Bun.spawn([process.execPath, "src/main.ts", "models", "list"], {
      cwd: ROOT,
      stdout: "ignore",
      stderr: "ignore",
      env: {
        PATH: Bun.env["PATH"] ?? "",
        HTTP_PROXY: proxy.url,
        MODELS_CATALOG: "http://models.example/catalog.json",
      },
    });
    await child.exited;
    expect(proxy.asked[0]).toStartWith("GET http://models.example/catalog.json");
  });
});

/** An authority, and a certificate of it for this machine, made by openssl. */
function authority(folder: string) {
  const run = (args: string) => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args.split(" ")], { cwd: folder });
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  const key = "-newkey rsa:2048 -nodes -days 2";
  run(`req -x509 ${key} -keyout ca.key -out ca.pem -subj /CN=House`);
  run(
    `req -x509 ${key} -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE`,
  );
  const file = (name: string) => join(folder, name);
  return {
    ca: file("ca.pem"),
    key: Bun.file(file("server.key")),
    cert: Bun.file(file("server.pem")),
  };
}

describe("a server with a certificate of a private authority", () => {
  const secure = () => {
    const { path } = open.use(temporaryFolder());
    const { ca, key, cert } = authority(path);
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { key, cert },
      fetch: (request) =>
        new URL(request.url).pathname === "/v1/models"
          ? Response.json({ data: [{ id: "llama3.2" }] })
          : new Response("refused", { status: 401 }),
    });
    open.defer(() => server.stop(true));
    return { ca, host: `localhost:${server.port}` };
  };

  test.each([
    ["NODE_EXTRA_CA_CERTS names it", "NODE_EXTRA_CA_CERTS", 303],
    ["the system's store has it", "SSL_CERT_FILE", 303],
    ["nobody knows it", "UNUSED", 502],
  ])("can be used as far as it is trusted: %s", async (_, variable, status) => {
    const { ca, host } = secure();
    await using parley = await startParley({ env: { [variable]: ca } });
    const response = await parley.fetch("/providers/endpoint", {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ stages: "llm", base_url: `https://${host}` }),
    });
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(status === 303 ? /^$/ : /certificate/);
  });

  test.each(["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"])(
    "is reached by LiveKit's library, too, with %s",
    async (variable) => {
      const { ca, host } = secure();
      const join = `
        import { Room } from "@livekit/rtc-node";
        import { prepareNetwork } from "./src/lib/network-environment.ts";
        prepareNetwork(process.env);
        await new Room().connect("wss://${host}", "token", {}).catch((error) => console.log(error.message));
        process.exit(0);
      `;
      const child = Bun.spawn([process.execPath, "-e", join], {
        cwd: ROOT,
        stderr: "ignore",
        env: { PATH: Bun.env["PATH"] ?? "", NODE_ENV: "production", [variable]: ca },
      });
      // It refuses the token, so the connection was made.
      expect(await new Response(child.stdout).text()).toContain("401");
    },
  );
});
