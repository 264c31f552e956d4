import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildClient } from "./build-client.ts";

let output: string;

beforeAll(() => {
  output = mkdtempSync(join(tmpdir(), "parley-client-"));
});
afterAll(() => rmSync(output, { recursive: true, force: true }));

test("the client is built once, with livekit-client in a file of its own", async () => {
  const options = { output, htmxExtensions: ["hx-head"] };
  expect(await buildClient(options)).toBe(true);
  const files = readdirSync(output);
  const htmx = await Bun.file(join(output, "htmx.min.js")).text();
  expect(htmx.indexOf("registerExtension(")).toBeLessThan(htmx.lastIndexOf("registerExtension("));
  expect(files).not.toContain("hx-head.min.js");
  const library = files.find((name) => /^livekit-client\.[0-9a-f]{12}\.js$/.test(name));
  expect(library).toBeDefined();
  const chat = await Bun.file(join(output, "chat.js")).text();
  expect(chat).toContain(`"./${library}"`);
  expect(chat.length).toBeLessThan(300_000);
  expect(await buildClient(options)).toBe(false);
});

test("a development build has source maps and leaves nothing of the other", async () => {
  expect(await buildClient({ output, dev: true })).toBe(true);
  const files = readdirSync(output);
  expect(files).toContain("chat.js.map");
  expect(files.filter((name) => name.startsWith("livekit-client."))).toHaveLength(2);
});

test("processes that build at the same time leave whole files", async () => {
  rmSync(output, { recursive: true, force: true });
  const script = join(output, "..", `parley-build-${process.pid}.ts`);
  const module = JSON.stringify(join(import.meta.dir, "build-client.ts"));
  await Bun.write(
    script,
    `import { buildClient } from ${module};\nawait buildClient({ output: ${JSON.stringify(output)} });`,
  );
  const builds = [1, 2, 3].map(() => Bun.spawn([process.execPath, script]).exited);
  expect(await Promise.all(builds)).toEqual([0, 0, 0]);
  rmSync(script);
  expect(readdirSync(output).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect(await Bun.file(join(output, "chat.js")).text()).toContain("./livekit-client.");
});
