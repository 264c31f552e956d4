import { Hono } from "hono";
import { Failure } from "../errors.ts";
import type { AssetSource } from "../resources.ts";

const IMMUTABLE = "public, max-age=31536000, immutable";

export interface Assets {
  /** The address of a file in `public/`, with the hash of its content: `/assets/x.css?v=…`. */
  url(path: string): string;
  routes: Hono;
}

interface Asset {
  body: Uint8Array<ArrayBuffer>;
  type: string;
  hash: string;
}

/**
 * Serves files from memory under `/assets/`. Files are read on first use; in development mode, for
 * every request.
 */
export function createAssets(source: AssetSource, dev: boolean): Assets {
  const known = source.names();
  const loaded = new Map<string, Asset>();
  const load = (path: string): Asset | undefined => {
    if (dev) loaded.delete(path);
    const present = loaded.get(path);
    if (present) return present;
    if (!(dev ? source.names() : known).has(path)) return undefined;
    const body = source.read(path);
    const asset = {
      body,
      type: Bun.file(path).type,
      hash: Bun.hash(body).toString(36),
    };
    loaded.set(path, asset);
    return asset;
  };
  const routes = new Hono();
  routes.get("/assets/*", (c) => {
    const asset = load(c.req.path.slice("/assets".length));
    if (!asset) throw new Failure("not_found", "There is no such file.");
    const etag = `"${asset.hash}"`;
    c.header("ETag", etag);
    c.header("Cache-Control", c.req.query("v") === asset.hash ? IMMUTABLE : "no-cache");
    if (c.req.header("If-None-Match") === etag) return c.body(null, 304);
    return c.body(asset.body, 200, { "Content-Type": asset.type });
  });
  return {
    url: (path) => {
      const asset = load(path);
      return asset ? `/assets${path}?v=${asset.hash}` : `/assets${path}`;
    },
    routes,
  };
}
