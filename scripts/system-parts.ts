import { existsSync } from "node:fs";
import { say } from "./say.ts";

interface SystemPart {
  name: string;
  /** Names or paths of its executable, the best first. */
  commands: readonly string[];
  /** Its Debian packages. */
  packages: readonly string[];
  /** How to install it on other systems. */
  elsewhere: string;
}

/**
 * What the tests need besides npm packages: a browser, Redis, speech and audio tools, and pip for the
 * test models.
 */
const PARTS = {
  chromium: {
    name: "Chromium",
    commands: [
      "chromium",
      "chromium-browser",
      "google-chrome-stable",
      "google-chrome",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    // Without a font the pages show no text.
    packages: ["chromium", "fonts-dejavu-core"],
    elsewhere: "macOS: brew install --cask google-chrome; else: your distribution's chromium",
  },
  redis: {
    name: "redis-server",
    commands: ["redis-server", "valkey-server"],
    packages: ["redis-server"],
    elsewhere: "macOS: brew install redis; else: your distribution's redis or valkey",
  },
  espeak: {
    name: "espeak-ng",
    commands: ["espeak-ng"],
    packages: ["espeak-ng"],
    elsewhere: "macOS: brew install espeak-ng; else: your distribution's espeak-ng",
  },
  ffmpeg: {
    name: "ffmpeg",
    commands: ["ffmpeg"],
    packages: ["ffmpeg"],
    elsewhere: "macOS: brew install ffmpeg; else: your distribution's ffmpeg",
  },
  pip: {
    name: "pip",
    commands: ["pip3", "pip"],
    packages: ["python3-pip"],
    elsewhere: "macOS: brew install python; else: your distribution's python3-pip",
  },
  cc: {
    name: "a C compiler",
    commands: ["cc"],
    packages: ["gcc", "libc6-dev"],
    elsewhere: "the clock of a process can only be set on Linux",
  },
  ip: {
    name: "ip",
    commands: ["ip"],
    packages: ["iproute2"],
    elsewhere: "network namespaces exist on Linux only",
  },
} satisfies Record<string, SystemPart>;

/** Needed by the faults of clock and network only. */
const OF_FAULTS: readonly SystemPart[] = [PARTS.cc, PARTS.ip];

/** @returns the path of a part's executable; undefined if it is not installed */
export function findPart(part: keyof typeof PARTS): string | undefined {
  return find(PARTS[part]);
}

function find({ commands }: SystemPart): string | undefined {
  for (const command of commands) {
    const path = command.startsWith("/") ? command : Bun.which(command);
    if (path && existsSync(path)) return path;
  }
  return undefined;
}

/**
 * Checks that every part is installed. On Debian and Ubuntu, as root, missing parts are installed.
 *
 * @param of what is going to run
 * @returns one line for each part that is still missing, which says how to install it
 */
export async function provideSystemParts(of: "tests" | "faults" = "tests"): Promise<string[]> {
  const needed = Object.values<SystemPart>(PARTS).filter(
    (part) => of === "faults" || !OF_FAULTS.includes(part),
  );
  const missing = needed.filter((part) => !find(part));
  if (missing.length > 0 && process.getuid?.() === 0 && Bun.which("apt-get")) {
    await aptInstall(missing.flatMap(({ packages }) => packages));
  }
  return missing
    .filter((part) => !find(part))
    .map(
      ({ name, packages, elsewhere }) =>
        `${name} is missing. Debian, Ubuntu: sudo apt-get install ${packages.join(" ")}; ${elsewhere}`,
    );
}

async function aptInstall(packages: string[]): Promise<void> {
  say(`installing with apt-get: ${packages.join(" ")}`);
  // A fresh machine has no package lists, and old lists name files that no longer exist.
  await aptGet(["update"]);
  await aptGet(["install", "--yes", "--no-install-recommends", ...packages]);
}

async function aptGet(args: string[]): Promise<void> {
  const child = Bun.spawn(["apt-get", "-qq", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  const output = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  // Not fatal: the caller reports each part that is still missing.
  if ((await child.exited) !== 0) say(`apt-get ${args[0]} failed: ${output.join("").trim()}`);
}
