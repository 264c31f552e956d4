// `npm run dev`: restarts Parley whenever the server's code changes, and rebuilds the browser's
// script whenever its code changes.
import { watch } from "node:fs";
import { join } from "node:path";
import { buildClient } from "./build-client.ts";
import { ROOT } from "./paths.ts";
import { HTMX_EXTENSIONS, prepare } from "./prepare.ts";
import { say, sayError } from "./say.ts";

/** An editor saves a file in several steps, so a rebuild waits until they are over. */
const SETTLE_MS = 100;

await prepare({ dev: true });
const args = ["--watch", "--no-clear-screen", join(ROOT, "src", "main.ts"), "serve", "--dev"];
const parley = Bun.spawn([process.execPath, ...args, ...process.argv.slice(2)], {
  stdio: ["inherit", "inherit", "inherit"],
  env: { ...process.env, NODE_ENV: "development" },
});
const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // A terminal sends Ctrl-C to the child itself.
    if (signal === "SIGTERM" || !inTerminal) parley.kill(signal);
  });
}

let timer: ReturnType<typeof setTimeout> | undefined;
for (const folder of ["client", "domain"]) {
  watch(join(ROOT, "src", folder), { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(rebuild, SETTLE_MS);
  });
}

function rebuild(): void {
  buildClient({ dev: true, htmxExtensions: HTMX_EXTENSIONS })
    .then((built) => built && say("rebuilt the browser's script; reload the page"))
    .catch(sayError);
}

process.exit(await parley.exited);
