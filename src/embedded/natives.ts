import { dirname } from "node:path";

/** The names by which the patched packages request their native libraries. */
export type NativeName =
  | "sqlite.node"
  | "rtc-node.node"
  | "onnxruntime_binding.node"
  | "sherpa-onnx.node"
  | "llama-addon.node";

/**
 * The paths of the unpacked libraries. This is the only state that Parley keeps for the whole
 * process: the packages load their library when they are imported, so nothing can be passed to them.
 * `scripts/build/patches.ts` makes them look here.
 */
const unpacked = new Map<string, string>();

/** Registers a library's path. Call it before the package that needs the library is imported. */
export function registerNative(name: NativeName, path: string): void {
  unpacked.set(name, path);
}

/**
 * Loads a registered library.
 *
 * @public called by the patched packages
 * @returns its exports
 * @throws Error if it is not registered
 */
export function loadNative(name: NativeName): unknown {
  const path = pathOf(name);
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

/**
 * The folder of a registered library, for a package that needs further files from it.
 *
 * @public called by the patched packages
 * @throws Error if it is not registered
 */
export function unpackedFolder(name: NativeName): string {
  return dirname(pathOf(name));
}

function pathOf(name: NativeName): string {
  const path = unpacked.get(name);
  if (path === undefined) throw new Error(`${name} was requested before it was unpacked`);
  return path;
}
