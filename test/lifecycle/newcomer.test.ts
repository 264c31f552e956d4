import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { within } from "../e2e/wait.ts";

// Somebody has Node, npm and git (and perhaps Go), clones Parley, and types `npm start` in a
// terminal. What others have downloaded before is in their caches; nothing else is prepared.

const ROOT = join(import.meta.dir, "../..");
/** It fetches packages, and builds livekit-server where that was not done before. */
const START_MS = 480_000;

/** Folders with the programs a newcomer has. A `bun` that lies beside them would not be theirs. */
function newcomersPath(): string {
  const node = Bun.which("node");
  if (node === null) throw new Error("This test needs node on PATH, as every newcomer has it.");
  const folders = [dirname(node), "/usr/bin", "/bin", "/usr/local/go/bin"];
  return folders.filter((folder) => !existsSync(join(folder, "bun"))).join(":");
}

test("a newcomer clones Parley, types npm start, sees the page, and Ctrl-C ends it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "parley-newcomer-"));
  try {
    const clone = Bun.spawnSync(["git", "clone", "--quiet", ROOT, join(folder, "parley")]);
    expect([clone.exitCode, clone.stderr.toString()]).toEqual([0, ""]);
    let output = "";
    const listening = Promise.withResolvers<string>();
    const child = Bun.spawn(["npm", "start"], {
      cwd: join(folder, "parley"),
      env: {
        PATH: newcomersPath(),
        HOME: Bun.env["HOME"] ?? "",
        TERM: "xterm",
        PORT: "0",
        ...proxies(),
      },
      terminal: {
        cols: 120,
        rows: 40,
        data: (_terminal, bytes) => {
          output += new TextDecoder().decode(bytes);
          const url = /listening.*"url":"([^"]+)"/.exec(Bun.stripANSI(output))?.[1];
          if (url !== undefined) listening.resolve(url);
        },
      },
    });
    const died = child.exited.then((code) => {
      throw new Error(`npm start ended with ${code}:\n${output}`);
    });
    died.catch(() => {});
    const url = await within(
      "Parley listens",
      Promise.race([listening.promise, died]),
      () => output,
      START_MS,
    );
    const page = await fetch(url);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("<!DOCTYPE")]);
    const script = await fetch(new URL("/health", url));
    expect(await script.json()).toEqual({ status: "ok" });
    child.terminal?.write("\x03");
    await within("the end", child.exited, () => output);
    expect(Bun.stripANSI(output)).toContain("stopped");
    expect(await fetch(url).catch(() => "nobody answers")).toBe("nobody answers");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** How a newcomer reaches the internet is theirs; it is the same as the tests'. */
function proxies(): Record<string, string> {
  const names = Object.keys(Bun.env).filter((name) =>
    /^(https?_proxy|no_proxy|npm_config_\w+|node_extra_ca_certs|ssl_cert_\w+|go(proxy|sumdb|flags))$/i.test(
      name,
    ),
  );
  return Object.fromEntries(names.map((name) => [name, Bun.env[name] ?? ""]));
}
