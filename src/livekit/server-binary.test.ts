import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { pino } from "pino";
import { readFromArchive } from "../lib/archive.ts";
import { once } from "../lib/lazy.ts";
import { releaseAsset } from "./release.ts";
import { type FindOptions, findLiveKitServer } from "./server-binary.ts";

const logger = pino({ level: "silent" });
/** Answers `--version` as livekit-server does; made long so that its archive has some size. */
const FAKE = fake("1.13.5");
const PADDING = Array.from({ length: 20_000 }, (_, i) => `# ${Bun.hash(String(i))}`).join("\n");
const official = releaseAsset("linux", process.arch);
if (!official) throw new Error("these tests run where LiveKit publishes a binary");
const { archive: ARCHIVE } = official;

let dataDir: string;
let server: ReturnType<typeof Bun.serve>;
let answer: (path: string) => Response | Promise<Response>;
const requests: string[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "parley-binary-"));
  requests.length = 0;
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const path = new URL(request.url).pathname;
      requests.push(path);
      return answer(path);
    },
  });
});
afterEach(async () => {
  await server.stop(true);
  rmSync(dataDir, { recursive: true, force: true });
});

function fake(version: string): string {
  return `#!/bin/sh\necho livekit-server version ${version}\n`;
}

function writeFake(path: string, version: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, fake(version));
  chmodSync(path, 0o700);
  return path;
}

async function find(options: Partial<FindOptions> = {}): Promise<string> {
  return findLiveKitServer({
    asset: (await published()).asset,
    dataDir,
    // A PATH without Go and without livekit-server.
    env: { PATH: "/nowhere" },
    logger,
    releasesUrl: server.url.origin,
    stallMs: 500,
    ...options,
  });
}

/** A release of the fake server. */
const published = once(async () => {
  const files = { LICENSE: "free", "livekit-server": `${FAKE}${PADDING}` };
  const archive = await new Bun.Archive(files, { compress: "gzip" }).bytes();
  const sha256 = new Bun.CryptoHasher("sha256").update(archive).digest("hex");
  return { archive, asset: { ...official, sha256 } };
});

async function serveRelease(archiveAnswer?: (bytes: Uint8Array<ArrayBuffer>) => Response) {
  const { archive } = await published();
  answer = (path) => {
    if (path !== `/v1.13.5/${ARCHIVE}`) return new Response("no", { status: 404 });
    return archiveAnswer ? archiveAnswer(archive) : new Response(archive);
  };
}

test("the official release is downloaded, verified and kept", async () => {
  await serveRelease();
  const messages: string[] = [];
  const path = await find({ onProgress: (message) => messages.push(message) });
  expect(path).toBe(join(dataDir, "bin", "livekit-server"));
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(messages.join()).toContain("downloading livekit-server 1.13.5");
  expect(readdirSync(join(dataDir, "bin"))).toEqual(["livekit-server"]);
  requests.length = 0;
  expect(await find()).toBe(path);
  expect(requests).toEqual([]);
});

test("several processes that search at once download once", async () => {
  await serveRelease();
  const paths = await Promise.all([find(), find(), find()]);
  expect(new Set(paths).size).toBe(1);
  expect(requests.filter((path) => path.endsWith(ARCHIVE))).toHaveLength(1);
});

test("a redirect is followed, as GitHub redirects to its storage", async () => {
  const { archive } = await published();
  answer = (path) =>
    path.startsWith("/storage/") ? new Response(archive) : Response.redirect(`/storage${path}`);
  expect(await find()).toEndWith("livekit-server");
});

test("a wrong checksum is refused, and no file is left", async () => {
  await serveRelease((bytes) => new Response(bytes.map((byte, i) => (i === 500 ? ~byte : byte))));
  await expect(find()).rejects.toThrow("wrong SHA-256");
  expect(readdirSync(join(dataDir, "bin"))).toEqual([]);
  expect(requests).toHaveLength(1);
});

test("a download that breaks off is tried again", async () => {
  using cutting = await cuttingServer(2);
  expect(await find({ releasesUrl: cutting.url })).toEndWith("livekit-server");
  expect(cutting.downloads()).toBe(3);
});

test("one that always breaks off is a failure that says how many bytes arrived", async () => {
  using cutting = await cuttingServer(Number.POSITIVE_INFINITY);
  await expect(find({ releasesUrl: cutting.url })).rejects.toThrow(/broke off after \d+ of \d+/);
  // Three in a row bring nothing new; before that, one may have brought more than the one before.
  expect(cutting.downloads()).toBeWithin(3, 10);
});

test("a download that stalls is given up", async () => {
  await serveRelease((bytes) => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(bytes.subarray(0, 1000)),
    });
    return new Response(body);
  });
  await expect(find()).rejects.toThrow("no data came for 0.5 s");
});

test("a slow download that keeps receiving data is no stall", async () => {
  await serveRelease((bytes) => {
    const step = Math.ceil(bytes.length / 12);
    let at = 0;
    const body = new ReadableStream({
      async pull(controller) {
        // All of it takes longer than a stall may; a step would have to take ten times as long.
        if (at > 0) await Bun.sleep(250);
        controller.enqueue(bytes.subarray(at, at + step));
        at += step;
        if (at >= bytes.length) controller.close();
      },
    });
    return new Response(body);
  });
  expect(await find({ stallMs: 2500 })).toEndWith("livekit-server");
});

test("a missing release and a server that cannot be reached say what to do", async () => {
  answer = () => new Response("no", { status: 404 });
  await expect(find()).rejects.toThrow(/answered 404; Go, .* is not installed\. Connect/);
  await expect(find({ releasesUrl: "http://127.0.0.1:1" })).rejects.toThrow(
    /127\.0\.0\.1:1 cannot be reached.*LIVEKIT_SERVER_BIN.*LIVEKIT_URL/,
  );
});

test("a forged release is refused, whatever checksums it brings", async () => {
  const { archive, asset } = await published();
  answer = (path) =>
    new Response(path.endsWith("checksums.txt") ? `${asset.sha256}  ${ARCHIVE}` : archive);
  await expect(find({ asset: official })).rejects.toThrow("wrong SHA-256");
});

test("the search can be cancelled", async () => {
  answer = () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  const cancel = new AbortController();
  const search = find({ signal: cancel.signal, stallMs: 60_000 });
  cancel.abort();
  await expect(search).rejects.toThrow("aborted");
});

test("the binary that the user names is used or refused", async () => {
  const bin = writeFake(join(dataDir, "mine"), "1.9.0");
  expect(await find({ bin })).toBe(bin);
  await expect(find({ bin: join(dataDir, "none") })).rejects.toThrow(/LIVEKIT_SERVER_BIN=.*none/);
});

test("PATH comes first if it is new enough, then the data folder, then the caches", async () => {
  answer = () => new Response("no", { status: 404 });
  const cache = writeFake(join(dataDir, "cache", "livekit-server"), "1.13.5");
  const cacheDirs = [join(dataDir, "cache")];
  expect(await find({ cacheDirs })).toBe(cache);
  const own = writeFake(join(dataDir, "bin", "livekit-server"), "1.13.5");
  expect(await find({ cacheDirs })).toBe(own);
  const onPath = writeFake(join(dataDir, "path", "livekit-server"), "1.14.0");
  const env = { PATH: `${join(dataDir, "path")}:/usr/bin` };
  expect(await find({ cacheDirs, env })).toBe(onPath);
  writeFake(onPath, "1.8.4");
  expect(await find({ cacheDirs, env })).toBe(own);
  writeFake(own, "1.13.4");
  expect(await find({ cacheDirs, env })).toBe(cache);
});

test("an older one in the data folder is replaced", async () => {
  await serveRelease();
  const own = writeFake(join(dataDir, "bin", "livekit-server"), "1.13.4");
  expect(await find()).toBe(own);
  expect(await Bun.file(own).text()).toContain("1.13.5");
});

test("the executable's own copy comes before any other but the one that the user names", async () => {
  const onPath = writeFake(join(dataDir, "path", "livekit-server"), "1.13.5");
  const embedded = async () => "/unpacked/livekit-server";
  const env = { PATH: dirname(onPath) };
  expect(await find({ embedded, env })).toBe("/unpacked/livekit-server");
  expect(await find({ embedded, env, bin: onPath })).toBe(onPath);
});

test("go install is the last resort, and its failure is reported", async () => {
  answer = () => new Response("no", { status: 404 });
  const bin = join(dataDir, "go-bin");
  const go = join(bin, "go");
  mkdirSync(bin);
  await Bun.write(go, `#!/bin/sh\necho "go: no such module" >&2\nexit 1\n`);
  chmodSync(go, 0o700);
  const env = { PATH: `${bin}:/usr/bin:/bin` };
  await expect(find({ env })).rejects.toThrow("go install failed: go: no such module");
  const build = `printf '#!/bin/sh\\necho livekit-server version 1.13.5\\n' > "$GOBIN/server"`;
  await Bun.write(go, `#!/bin/sh\n[ "$1 $2" = "install -v" ] && ${build}\n`);
  const path = await find({ env });
  expect(path).toBe(join(dataDir, "bin", "livekit-server"));
  expect(readdirSync(join(dataDir, "bin"))).toEqual(["livekit-server"]);
});

test("the lock of a dead process is taken over", async () => {
  await serveRelease();
  mkdirSync(join(dataDir, "bin"));
  const dead = Bun.spawnSync(["true"]).pid;
  const owner = { pid: dead, host: hostname() };
  await Bun.write(join(dataDir, "bin", "livekit-server.lock"), JSON.stringify(owner));
  expect(await find()).toEndWith("livekit-server");
});

test("every platform of Parley has its archive and hash; macOS has none", () => {
  expect(releaseAsset("win32", "x64")).toMatchObject({
    archive: "livekit_1.13.5_windows_amd64.zip",
    binary: "livekit-server.exe",
  });
  expect(releaseAsset("linux", "arm64")?.archive).toBe("livekit_1.13.5_linux_arm64.tar.gz");
  expect(releaseAsset("darwin", "arm64")).toBeUndefined();
  const pairs = ["linux", "win32"].flatMap((os) => ["x64", "arm64"].map((arch) => [os, arch]));
  const hashes = pairs.map(([os = "", arch = ""]) => releaseAsset(os, arch)?.sha256);
  expect(new Set(hashes).size).toBe(4);
  for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
});

test("a file is read from a zip archive, compressed or not", async () => {
  const path = join(dataDir, "a.zip");
  await Bun.write(path, zip({ LICENSE: "free", "livekit-server.exe": "x".repeat(5000) }));
  const bytes = await readFromArchive(path, "livekit-server.exe");
  expect(new TextDecoder().decode(bytes)).toBe("x".repeat(5000));
  expect(new TextDecoder().decode(await readFromArchive(path, "LICENSE"))).toBe("free");
  await expect(readFromArchive(path, "other")).rejects.toThrow("has no other");
});

/** A bare HTTP server that closes the connection in the middle of the first `cuts` archives. */
async function cuttingServer(cuts: number) {
  const { archive } = await published();
  let downloads = 0;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        const isCut = ++downloads <= cuts;
        socket.write(
          `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${archive.length}\r\n\r\n`,
        );
        socket.write(isCut ? archive.subarray(0, archive.length / 2) : archive);
        socket.end();
      },
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    downloads: () => downloads,
    [Symbol.dispose]: () => listener.stop(true),
  };
}

/** Long files are deflated, short ones stored. */
function zip(files: Record<string, string>): Uint8Array<ArrayBuffer> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const data = text.length > 100 ? deflateRawSync(text) : Buffer.from(text);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(text.length > 100 ? 8 : 0, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(text.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    parts.push(header, Buffer.from(name), data);
    directory.push(entry, Buffer.from(name));
    offset += 30 + name.length + data.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...parts, central, end]));
}
