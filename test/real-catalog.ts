import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { testModels } from "../scripts/test-models.ts";
import type { CatalogModel, ModelFile } from "../src/domain/catalog.ts";
import type { LocalModel } from "../src/domain/model.ts";

/** A catalogue of the small real models, whose files a server of this machine has. */
export interface RealCatalog extends AsyncDisposable {
  /** As `MODELS_CATALOG` takes it. */
  path: string;
}

/** Serves the models that `testModels` brings as Hugging Face serves others. */
export async function realCatalog(): Promise<RealCatalog> {
  const served = new Map<string, string>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const path = served.get(new URL(request.url).pathname);
      return path === undefined
        ? new Response("not here", { status: 404 })
        : new Response(Bun.file(path));
    },
  });
  const models = await Promise.all(
    Object.values(await testModels()).map((model) => entryOf(model, server.url, served)),
  );
  const folder = mkdtempSync(join(tmpdir(), "parley-catalog-"));
  const path = join(folder, "catalog.json");
  writeFileSync(path, JSON.stringify({ models }));
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function entryOf(
  model: LocalModel,
  server: URL,
  served: Map<string, string>,
): Promise<CatalogModel> {
  const { id, stage, kind, ...places } = model;
  const files = await Promise.all(
    filesOf(places).map(async ([path, from]): Promise<ModelFile> => {
      const url = new URL(`/${id}/${path}`, server);
      served.set(url.pathname, from);
      const bytes = await Bun.file(from).bytes();
      const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
      return { path, sources: [{ url: url.href }], bytes: bytes.length, sha256 };
    }),
  );
  return {
    id,
    stage,
    kind,
    size: "small",
    name: id,
    about: "A small model for tests.",
    languages: ["en"],
    licence: "MIT",
    memory: 300_000_000,
    files,
  };
}

/** Paths inside the model's folder, and where each file is; of espeak-ng's data, what English needs. */
function filesOf(
  places: Record<string, string | string[] | undefined>,
): [path: string, from: string][] {
  const paths = Object.values(places).flatMap((place) => place ?? []);
  return paths.flatMap((place): [string, string][] => {
    if (!statSync(place).isDirectory()) return [[relative(dirname(place), place), place]];
    return readdirSync(place, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((from): [string, string] => [relative(place, from), from])
      .filter(([path]) => /^(phon\w*|intonations|en_dict|lang\/gmw\/en.*)$/.test(path))
      .map(([path, from]) => [`espeak-ng-data/${path}`, from]);
  });
}
