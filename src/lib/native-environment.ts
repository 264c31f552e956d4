import { dlopen } from "bun:ffi";

/** Sets a variable, or removes it; in C's encoding. */
type SetVariable = (name: Uint8Array, value: Uint8Array | undefined) => void;

/**
 * Changes the variables that native libraries and Bun's own code read. Assignments to
 * `process.env` are seen by JavaScript only.
 *
 * @param changes undefined removes a variable
 */
export function setNatively(changes: ReadonlyMap<string, string | undefined>): void {
  const set = setter();
  for (const [name, value] of changes) {
    set?.(encoded(name), value === undefined ? undefined : encoded(value));
  }
}

/** The C library's function; undefined where Bun cannot call it, as on Windows for arm64. */
function setter(): SetVariable | undefined {
  try {
    return process.platform === "win32" ? windowsSetter() : posixSetter();
  } catch {
    return undefined;
  }
}

function posixSetter(): SetVariable {
  const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const { symbols } = dlopen(library, {
    setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" },
    unsetenv: { args: ["cstring"], returns: "i32" },
  });
  return (name, value) => {
    if (value === undefined) symbols.unsetenv(name);
    else symbols.setenv(name, value, 1);
  };
}

function windowsSetter(): SetVariable {
  const { symbols } = dlopen("ucrtbase.dll", {
    _putenv_s: { args: ["cstring", "cstring"], returns: "i32" },
  });
  return (name, value) => symbols._putenv_s(name, value ?? encoded(""));
}

function encoded(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}
