import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { downloadText } from "../../src/livekit/download.ts";

const DEFAULT_INDEX = "https://pypi.org/simple";

/**
 * Where the index that pip is set up for has a file of a project.
 *
 * @throws Failure when the index cannot be reached, Error when it lacks the file
 */
export async function wheelUrl(
  { project, file }: { project: string; file: string },
  signal?: AbortSignal,
): Promise<string> {
  const page = `${(await indexUrl()).replace(/\/+$/, "")}/${project}/`;
  // Every index has this form (https://peps.python.org/pep-0503/): links, with a hash as fragment.
  const links = (await downloadText(page, { signal })).matchAll(
    /<a\s[^>]*?href=["']([^"']+)["']/gi,
  );
  for (const [, href = ""] of links) {
    const url = new URL(href.replaceAll("&amp;", "&"), page);
    url.hash = "";
    if (decodeURIComponent(url.pathname).endsWith(`/${file}`)) return url.href;
  }
  throw new Error(`${page} has no ${file}`);
}

/** pip's own order: the environment, then its configuration files. */
async function indexUrl(): Promise<string> {
  const { env } = process;
  if (env["PIP_INDEX_URL"]) return env["PIP_INDEX_URL"];
  const config = env["XDG_CONFIG_HOME"] || join(homedir(), ".config");
  const files = [
    env["PIP_CONFIG_FILE"],
    join(config, "pip", "pip.conf"),
    join(homedir(), ".pip", "pip.conf"),
    "/etc/pip.conf",
  ];
  for (const file of files) {
    const text = file && (await readFile(file, "utf8").catch(() => ""));
    const found = text && /^\s*index-url\s*[=:]\s*(\S+)/m.exec(text)?.[1];
    if (found) return found;
  }
  return DEFAULT_INDEX;
}
