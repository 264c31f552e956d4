import { resolve } from "node:path";

/** The variables that a child of this program gets; none of them holds a key. */
const PASSED_ON =
  /^(PATH|HOME|USERPROFILE|LOCALAPPDATA|SYSTEMROOT|TE?MP|TMPDIR|XDG_CACHE_HOME|PARLEY_CACHE_DIR|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|LANG|LC_ALL|TZ|ENGINE_(?!API_KEY)\w+|XDG_(RUNTIME_DIR|DATA_DIRS)|(VK|CUDA|NVIDIA|GGML)_\w+)$/i;
/** Those that name a folder, which may be relative to Parley's. */
const FOLDERS = /^(TE?MP|TMPDIR|XDG_CACHE_HOME|PARLEY_CACHE_DIR)$/i;

/**
 * The environment of a child of this program that runs native libraries on files of others, and so
 * must not know Parley's keys. It has to start in a folder without a `.env` besides, since
 * executables read that whatever BUN_OPTIONS says.
 *
 * @param variables those of this process
 */
export function childEnvironment(
  variables: Record<string, string | undefined>,
): Record<string, string> {
  const passedOn = Object.entries(variables).flatMap(([name, value]) =>
    value !== undefined && PASSED_ON.test(name)
      ? [[name, FOLDERS.test(name) ? resolve(value) : value]]
      : [],
  );
  return {
    ...Object.fromEntries(passedOn),
    BUN_OPTIONS: "--no-env-file",
    // llama.cpp would start a debugger on itself when it fails.
    GGML_NO_BACKTRACE: "1",
  };
}
