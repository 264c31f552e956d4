import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import {
  bytesOf,
  type Fault,
  ModelServer,
  type ModelServerOptions,
  tinyModel,
} from "../../test/model-server.ts";
import { downloadModel, type ModelDownloadOptions, type ModelProgress } from "./download.ts";

const GGUF = bytesOf(100_000, 3);
const FILES = { "tiny.gguf": GGUF };

/** A server with the tiny model, and a folder to download it into. */
function open(options: Partial<ModelServerOptions> & { inner?: Record<string, Uint8Array> } = {}) {
  const inner = options.inner ?? FILES;
  const stack = new AsyncDisposableStack();
  const files = Object.fromEntries(
    Object.entries(inner).map(([path, bytes]) => [`tiny-llm/${path}`, bytes]),
  );
  const server = stack.use(new ModelServer({ ...options, files }));
  const folder = stack.use(temporaryFolder()).path;
  const model = tinyModel(server.url, inner);
  const target = join(folder, "tiny-llm");
  return {
    server,
    folder,
    model,
    target,
    at: (path: string) => readFileSync(join(target, path)),
    pull: (change: Partial<ModelDownloadOptions> = {}) =>
      downloadModel(model, { folder, stallMs: 400, ...change }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("a model is downloaded, verified and put in place, with its folders and progress", async () => {
  const inner = { "tiny.gguf": GGUF, "data/lang/en": bytesOf(50, 9) };
  await using world = open({ inner });
  const seen: ModelProgress[] = [];
  await world.pull({ onProgress: (progress) => seen.push(progress) });
  expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  expect(world.at("data/lang/en")).toEqual(Buffer.from(inner["data/lang/en"]));
  expect(readdirSync(world.target).sort()).toEqual(["data", "tiny.gguf"]);
  expect(readdirSync(world.folder)).toEqual(["tiny-llm"]);
  expect(statSync(world.target).mode & 0o777).toBe(0o700);
  expect(seen.at(-1)).toMatchObject({ received: 100_050, total: 100_050 });
  const received = seen.map((progress) => progress.received);
  expect(received).toEqual(received.toSorted((a, b) => a - b));
});

test("a complete file is not requested again; a damaged one is", async () => {
  await using world = open();
  await world.pull();
  world.server.requests.length = 0;
  await world.pull();
  expect(world.server.requests).toEqual([]);
  writeFileSync(join(world.target, "tiny.gguf"), bytesOf(100_000, 4));
  await world.pull();
  expect(world.server.requests).toEqual(["tiny-llm/tiny.gguf"]);
  expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
});

describe("an interrupted download", () => {
  test("resumes where it stopped, at once", async () => {
    await using world = open();
    world.server.faults.push({ kind: "cut", after: 30_000 }, { kind: "cut", after: 20_000 });
    await world.pull();
    const [first, second, third] = world.server.requests;
    expect(first).toBe("tiny-llm/tiny.gguf");
    expect(second).toMatch(/^tiny-llm\/tiny\.gguf bytes=30000- "\w+"$/);
    expect(third).toMatch(/bytes=50000- "\w+"$/);
    expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  });

  test("resumes in a later try, also of another process", async () => {
    await using world = open();
    world.server.faults.push(...Array(3).fill({ kind: "cut", after: 30_000 }));
    world.server.faults.splice(1, 2, ...Array(2).fill({ kind: "status", status: 503 }));
    await expect(world.pull()).rejects.toThrow("answered 503");
    expect(statSync(join(world.target, "tiny.gguf.part")).size).toBe(30_000);
    expect(existsSync(join(world.target, "tiny.gguf"))).toBe(false);
    world.server.requests.length = 0;
    await world.pull();
    expect(world.server.requests).toHaveLength(1);
    expect(world.server.requests[0]).toContain("bytes=30000-");
    expect(readdirSync(world.target)).toEqual(["tiny.gguf"]);
  });

  test("starts over if the server does not support ranges", async () => {
    await using world = open();
    world.server.faults.push({ kind: "cut", after: 30_000 }, { kind: "ignore range" });
    await world.pull();
    expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  });

  test("starts over if the partial file was of something else", async () => {
    await using world = open();
    mkdirSync(world.target, { recursive: true });
    writeFileSync(join(world.target, "tiny.gguf.part"), bytesOf(30_000, 99));
    await world.pull();
    expect(world.server.requests).toEqual([
      "tiny-llm/tiny.gguf bytes=30000-",
      "tiny-llm/tiny.gguf",
    ]);
    expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  });

  test("starts over if the file has changed since", async () => {
    await using world = open();
    mkdirSync(world.target, { recursive: true });
    writeFileSync(join(world.target, "tiny.gguf.part"), GGUF.subarray(0, 30_000));
    writeFileSync(join(world.target, "tiny.gguf.part.etag"), '"older"');
    await world.pull();
    expect(world.server.requests).toEqual(['tiny-llm/tiny.gguf bytes=30000- "older"']);
    expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  });

  test("that had all bytes is finished without a request; a longer partial file is discarded", async () => {
    await using world = open();
    mkdirSync(world.target, { recursive: true });
    writeFileSync(join(world.target, "tiny.gguf.part"), GGUF);
    await world.pull();
    expect(world.server.requests).toEqual([]);
    writeFileSync(join(world.target, "tiny.gguf"), "");
    writeFileSync(join(world.target, "tiny.gguf.part"), bytesOf(100_001));
    await world.pull();
    expect(world.server.requests).toEqual(["tiny-llm/tiny.gguf"]);
  });
});

describe("a failure says why, and how to do it by hand", () => {
  const hint =
    /Or download the file by hand from http:\S+\/tiny-llm\/tiny\.gguf and save it as \/\S+\/tiny-llm\/tiny\.gguf$/;

  test("a wrong hash, and no file is kept", async () => {
    await using world = open();
    world.server.faults.push({ kind: "damage" });
    await expect(world.pull()).rejects.toThrow(/wrong SHA-256.*by hand/);
    expect(readdirSync(world.target)).toEqual([]);
  });

  test("another size, and the rest is not downloaded", async () => {
    await using world = open();
    const model = tinyModel(world.server.url, { "tiny.gguf": GGUF.subarray(1) });
    const work = downloadModel(model, { folder: world.folder });
    await expect(work).rejects.toThrow("it has 100000 bytes rather than 99999");
  });

  test("a file that does not exist, and a server that cannot be reached", async () => {
    await using world = open();
    world.server.faults.push({ kind: "status", status: 404 });
    await expect(world.pull()).rejects.toThrow(/answered 404/);
    const model = tinyModel("http://127.0.0.1:9", FILES);
    const offline = downloadModel(model, { folder: world.folder });
    await expect(offline).rejects.toThrow(/127\.0\.0\.1:9 cannot be reached/);
    await expect(downloadModel(model, { folder: world.folder })).rejects.toThrow(hint);
  });

  test("a connection that always breaks at the same place", async () => {
    await using world = open();
    world.server.faults.push({ kind: "cut", after: 40_000 });
    for (let i = 0; i < 5; i++) world.server.faults.push({ kind: "cut", after: 0 });
    await expect(world.pull()).rejects.toThrow(/broke off after 40000 of 100000 bytes/);
    expect(world.server.requests).toHaveLength(3);
  });

  test("a server that stops sending", async () => {
    await using world = open();
    for (let i = 0; i < 3; i++)
      world.server.faults.push({ kind: "hang", after: i === 0 ? 1000 : 0 });
    await expect(world.pull()).rejects.toThrow(
      /after 1000 of 100000 bytes: no data came for 0\.4 s/,
    );
  });

  test("a disk without enough space, before the first request", async () => {
    await using world = open();
    const work = world.pull({ freeBytes: async () => 200 * 2 ** 20 });
    await expect(work).rejects.toThrow(/Tiny needs 100 kB more .* has 210 MB free.*DATA_DIR/);
    expect(world.server.requests).toEqual([]);
    await world.pull({ freeBytes: async () => 201 * 2 ** 20 });
  });
});

describe("a busy server", () => {
  test.each([429, 500, 503])(
    "is asked again after %d, also in the middle of a file",
    async (status) => {
      await using world = open();
      const busy = { kind: "status", status } as const;
      world.server.faults.push(busy, { kind: "cut", after: 30_000 }, busy);
      await world.pull();
      expect(world.server.requests.map((one) => one.split(" ")[1])).toEqual([
        undefined,
        undefined,
        "bytes=30000-",
        "bytes=30000-",
      ]);
      expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
    },
  );

  test("is left alone for as long as it says", async () => {
    await using world = open();
    world.server.faults.push({ kind: "status", status: 429, headers: { "Retry-After": "1" } });
    const start = performance.now();
    await world.pull();
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
  });

  test("is given up if that is too long, or if it stays busy", async () => {
    await using world = open();
    world.server.faults.push({ kind: "status", status: 429, headers: { "Retry-After": "3600" } });
    await expect(world.pull()).rejects.toThrow("answered 429");
    expect(world.server.requests).toHaveLength(1);
    world.server.faults.push(...Array(3).fill({ kind: "status", status: 503 }));
    await expect(world.pull()).rejects.toThrow("answered 503");
    expect(world.server.requests).toHaveLength(4);
  });
});

describe("the sources of a file", () => {
  /** The tiny model with its file at each of these servers. */
  function modelAt(...urls: string[]) {
    const [model] = urls.map((url) => tinyModel(url, FILES));
    const [file] = model?.files ?? [];
    if (!model || !file) throw new Error("there is no server");
    const sources = urls.map((url) => ({ url: `${url}/tiny-llm/tiny.gguf` }));
    return { ...model, files: [{ ...file, sources }] };
  }

  const faults: [string, Fault[]][] = [
    ["404", [{ kind: "status", status: 404 }]],
    ["403", [{ kind: "status", status: 403 }]],
    ["503", Array(3).fill({ kind: "status", status: 503 })],
    ["other bytes", [{ kind: "damage" }]],
    ["silence", Array(3).fill({ kind: "hang", after: 0 })],
  ];
  test.each(faults)("are tried in order: the second after %s", async (_, first) => {
    await using broken = open();
    await using world = open();
    broken.server.faults.push(...first);
    const model = modelAt(broken.server.url, world.server.url);
    await downloadModel(model, { folder: world.folder, stallMs: 400 });
    expect(broken.server.requests).toHaveLength(first.length);
    expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  });

  test("continue each other", async () => {
    await using broken = open();
    await using world = open();
    broken.server.faults.push({ kind: "cut", after: 30_000 });
    broken.server.faults.push(...Array(2).fill({ kind: "cut", after: 0 }));
    const model = modelAt(broken.server.url, world.server.url);
    await downloadModel(model, { folder: world.folder });
    expect(world.server.requests[0]).toContain("bytes=30000-");
    expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
  });

  test("are all named if none works, also one without a server or a host name", async () => {
    await using world = open();
    world.server.faults.push({ kind: "damage" });
    const model = modelAt("http://127.0.0.1:9", "http://no-such-host.invalid", world.server.url);
    await expect(downloadModel(model, { folder: world.folder })).rejects.toThrow(
      /127\.0\.0\.1:9 cannot.*no-such-host\.invalid cannot.*wrong SHA-256.*by hand/,
    );
  });

  test("of Hugging Face are those of its mirror, which alone gets the token", async () => {
    await using world = open();
    await using other = open();
    const huggingFace = { endpoint: world.server.url, token: "hf_secret" };
    const pull = (...urls: string[]) =>
      downloadModel(modelAt(...urls), { folder: world.folder, huggingFace });
    world.server.faults.push({
      kind: "status",
      status: 302,
      headers: { Location: `${other.server.url}/tiny-llm/tiny.gguf` },
    });
    await pull("https://huggingface.co");
    expect(world.server.authorizations).toEqual(["Bearer hf_secret"]);
    expect(other.server.authorizations).toEqual([undefined]);
    rmSync(join(world.target, "tiny.gguf"));
    world.server.faults.push({ kind: "status", status: 404 });
    const failed = pull("https://huggingface.co", "http://127.0.0.1:9");
    await expect(failed).rejects.not.toThrow("hf_secret");
    await pull(other.server.url);
    expect(other.server.authorizations).toEqual([undefined, undefined]);
  });
});

test("a slow server that keeps sending is not given up", async () => {
  await using world = open({ paceMs: 150, piece: 20_000 });
  await world.pull();
  expect(world.at("tiny.gguf")).toEqual(Buffer.from(GGUF));
});

test("a cancelled download stops at once, and its bytes are kept for the next one", async () => {
  await using world = open({ paceMs: 20, piece: 10_000 });
  const cancel = new AbortController();
  const work = world.pull({
    signal: cancel.signal,
    onProgress: ({ received }) => {
      if (received >= 30_000) cancel.abort();
    },
  });
  await expect(work).rejects.toThrow("abort");
  const kept = statSync(join(world.target, "tiny.gguf.part")).size;
  expect(kept).toBeGreaterThanOrEqual(30_000);
  expect(readdirSync(world.folder)).toEqual(["tiny-llm"]);
  world.server.requests.length = 0;
  await world.pull();
  expect(world.server.requests[0]).toContain(`bytes=${kept}-`);
});

test("two concurrent downloads of a model download it once", async () => {
  await using world = open({ paceMs: 10, piece: 30_000 });
  let waited = 0;
  const onWait = () => {
    waited += 1;
  };
  await Promise.all([world.pull({ onWait }), world.pull({ onWait })]);
  expect(world.server.requests).toHaveLength(1);
  expect(waited).toBe(1);
});

test("a file that was copied by hand counts if it is the published one", async () => {
  await using world = open();
  const path = join(world.target, "tiny.gguf");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, GGUF);
  await world.pull();
  expect(world.server.requests).toEqual([]);
});
