// `npm run dev`: Parley restarted at every change of the server, and the browser's script rebuilt
// at every change of its own.
import { watch } from "node:fs";
import { join } from "node:path";
import { buildClient } from "./build-client.ts";
import { ROOT } from "./paths.ts";
import { HTMX_EXTENSIONS, prepare, sayError } from "./prepare.ts";
import { say } from "./say.ts";

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
    // A terminal sends Ctrl-C to the child as well.
    if (signal === "SIGTERM" || !inTerminal) parley.kill(signal);
  });
}

let timer: ReturnType<typeof setTimeout> | undefined;
for (const folder of ["client", "domain"]) {
  watch(join(ROOT, "src", folder), { recursive: true }, () => {
    // An editor saves in several steps.
    clearTimeout(timer);
    timer = setTimeout(rebuild, SETTLE_MS);
  });
}

function rebuild(): void {
  buildClient({ dev: true, htmxExtensions: HTMX_EXTENSIONS })
    .then((built) => built && say("the browser's script is rebuilt; reload the page"))
    .catch(sayError);
}

process.exit(await parley.exited);
