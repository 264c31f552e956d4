import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "./platform-packages.ts";

test("a package that is not the one in bun.lock is not extracted", async () => {
  const folder = mkdtempSync(join(tmpdir(), "parley-package-"));
  try {
    const archive = await new Bun.Archive({ "package/library.so": "code" }).bytes();
    const hash = (bytes: Uint8Array) =>
      `sha512-${new Bun.CryptoHasher("sha512").update(bytes).digest("base64")}`;
    const replaced = extract(archive, hash(new Uint8Array([1])), folder);
    expect(replaced).rejects.toThrow("not the one in bun.lock");
    await replaced.catch(() => {});
    expect(readdirSync(folder)).toEqual([]);
    await extract(archive, hash(archive), folder);
    expect(readdirSync(join(folder, "package"))).toEqual(["library.so"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
