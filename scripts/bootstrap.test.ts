import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "./paths.ts";

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "parley-bootstrap-"));
  await Bun.write(
    join(folder, "script.ts"),
    `if (process.argv[2] === "exit") process.exit(Number(process.argv[3]));
if (process.argv[2] === "die") process.kill(process.pid, "SIGKILL");
process.on("SIGTERM", () => process.exit(7)).on("SIGINT", () => process.exit(8));
console.log(Bun.version);
setInterval(() => {}, 1000);`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function node(): string {
  const path = Bun.which("node");
  if (!path) throw new Error("these tests need Node");
  return path;
}

function bootstrap(args: string[], root = ROOT, env: Record<string, string> = {}) {
  const script = join(root, "scripts", "bootstrap.mjs");
  return Bun.spawn([node(), script, join(folder, "script.ts"), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
  });
}

test("the exit code and the end by a signal are the script's", async () => {
  expect(await bootstrap(["exit", "3"]).exited).toBe(3);
  const killed = bootstrap(["die"]);
  await killed.exited;
  expect(killed.signalCode).toBe("SIGKILL");
});

test("signals reach the script", async () => {
  for (const [signal, code] of [
    ["SIGTERM", 7],
    ["SIGINT", 8],
  ] as const) {
    const child = bootstrap([]);
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value).trim()).toBe(Bun.version);
    child.kill(signal);
    expect(await child.exited).toBe(code);
  }
});

test("the script stops when npm is stopped, whose shell keeps signals to itself", async () => {
  const command = `"${node()}" scripts/bootstrap.mjs "${join(folder, "script.ts")}"; :`;
  const shell = Bun.spawn(["sh", "-c", command], {
    cwd: ROOT,
    stdout: "pipe",
    env: { ...process.env, npm_lifecycle_event: "start" },
  });
  const reader = shell.stdout.getReader();
  await reader.read();
  shell.kill("SIGTERM");
  // The pipe ends when the last process that holds it has.
  expect((await reader.read()).done).toBe(true);
}, 10_000);

test("a set-up that is complete says nothing", async () => {
  const child = bootstrap(["exit", "0"]);
  expect(await new Response(child.stderr).text()).toBe("");
});

test("a Bun that is not the published one is not run", async () => {
  const clone = join(folder, "forged");
  mkdirSync(join(clone, "scripts"), { recursive: true });
  for (const name of ["package.json", "bun.lock", "scripts/bootstrap.mjs"]) {
    cpSync(join(ROOT, name), join(clone, name));
  }
  const marker = join(folder, "forged-bun-ran");
  const name = `bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
  // Stands in for npm with a registry that names its own hash for its own archive.
  const npm = join(folder, "npm-cli.js");
  await Bun.write(
    npm,
    `const { mkdirSync, writeFileSync } = require("node:fs");
mkdirSync("node_modules/@oven/${name}/bin", { recursive: true });
const bun = "#!/bin/sh\\ntouch ${marker}\\necho 1.4.5\\n";
writeFileSync("node_modules/@oven/${name}/bin/bun", bun, { mode: 0o755 });
const packages = { "node_modules/@oven/${name}": { integrity: "sha512-forged" } };
writeFileSync("node_modules/.package-lock.json", JSON.stringify({ packages }));`,
  );
  const path = [dirname(node()), "/usr/bin", "/bin"].join(":");
  const child = bootstrap(["exit", "0"], clone, { PATH: path, npm_execpath: npm });
  expect(await new Response(child.stderr).text()).toContain("is not the published one");
  expect(await child.exited).toBe(1);
  expect(existsSync(marker)).toBe(false);
});

test("without a network it says what is missing", async () => {
  const clone = join(folder, "clone");
  mkdirSync(join(clone, "scripts"), { recursive: true });
  for (const name of ["package.json", "bun.lock", "scripts/bootstrap.mjs"]) {
    cpSync(join(ROOT, name), join(clone, name));
  }
  const offline = {
    PATH: [dirname(node()), "/usr/bin", "/bin"].join(":"),
    npm_config_registry: "http://127.0.0.1:1",
    npm_config_fetch_retries: "0",
    npm_config_cache: join(folder, "npm-cache"),
  };
  const child = bootstrap(["exit", "0"], clone, offline);
  expect(await new Response(child.stderr).text()).toMatch(
    /npm could not install bun@1\.4\.5\. Is this machine online\?/,
  );
  expect(await child.exited).toBe(1);
}, 60_000);
