import { dirname } from "node:path";

/** Names under which the patched packages ask for their native libraries. */
export type NativeName =
  | "sqlite.node"
  | "rtc-node.node"
  | "onnxruntime_binding.node"
  | "sherpa-onnx.node"
  | "llama-addon.node";

/**
 * Where the native libraries have been unpacked to. This is the one place where Parley keeps
 * something for the whole process: the packages load their library by themselves when they are
 * imported, so nothing can be passed to them. `scripts/build/patches.ts` makes them ask here.
 */
const unpacked = new Map<string, string>();

/** Tells where a library is; to be called before the package that wants it is imported. */
export function offerNative(name: NativeName, path: string): void {
  unpacked.set(name, path);
}

/**
 * Loads a library that was offered.
 *
 * @public called by the packages, as patched
 * @returns what it exports
 */
export function loadNative(name: NativeName): unknown {
  const path = pathOf(name);
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

/**
 * The folder of a library that was offered, for a package that looks for more beside it.
 *
 * @public called by the packages, as patched
 */
export function unpackedFolder(name: NativeName): string {
  return dirname(pathOf(name));
}

function pathOf(name: NativeName): string {
  const path = unpacked.get(name);
  if (path === undefined) throw new Error(`${name} was asked for before it was unpacked`);
  return path;
}
