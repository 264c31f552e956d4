/** A process of the engine's; the end of its stdin is the sign that this process is gone. */
export type EngineChild = Bun.Subprocess<"pipe", "pipe", "pipe">;

const KILL_AFTER_MS = 2000;
/** What a child may know of its surroundings: no key of anybody's. */
const PASSED_ON =
  /^(PATH|HOME|USERPROFILE|LOCALAPPDATA|SYSTEMROOT|TE?MP|TMPDIR|XDG_CACHE_HOME|PARLEY_CACHE_DIR|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|LANG|LC_ALL|TZ)$/i;

/** Starts an engine process that serves `port` to those who bear `key`. */
export function spawnEngine(options: {
  /** How this program is started as an engine, without the arguments of one. */
  command: readonly string[];
  variables: Record<string, string | undefined>;
  host: string;
  port: number;
  key: string;
}): EngineChild {
  const { command, variables, host, port, key } = options;
  const passedOn = Object.entries(variables).filter(([name]) => PASSED_ON.test(name));
  return Bun.spawn([...command, "--supervised", "--host", host, "--port", String(port)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      ...Object.fromEntries(passedOn),
      // By environment, which other users cannot read as they can an argument.
      ENGINE_API_KEY: key,
      // Parley's `.env` holds keys.
      BUN_OPTIONS: "--no-env-file",
      // llama.cpp would start a debugger on itself as it fails.
      GGML_NO_BACKTRACE: "1",
    },
    // Ctrl-C in a terminal goes to the whole group; the child's end is Parley's to order.
    detached: true,
  });
}

/** Asks the child to stop, then kills it. */
export async function stopEngine(child: EngineChild): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
  await child.exited;
  clearTimeout(timer);
}
