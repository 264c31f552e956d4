/** What the page needs to find its live session again after a reload. */
export interface RememberedCall {
  session_id: string;
  room: string;
  identity: string;
  name: string;
}

const CALL = "parley.call";

/** Remembers the live call for this tab. */
export function rememberCall(call: RememberedCall): void {
  write(() => sessionStorage, CALL, JSON.stringify(call));
}

export function forgetCall(): void {
  write(() => sessionStorage, CALL, null);
}

/** The call this tab was in before it was reloaded. */
export function rememberedCall(): RememberedCall | undefined {
  try {
    const value: unknown = JSON.parse(read(() => sessionStorage, CALL) ?? "null");
    return isRememberedCall(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Preference = "name" | "identity" | "microphone";

export function preference(name: Preference): string | null {
  return read(() => localStorage, `parley.${name}`);
}

export function setPreference(name: Preference, value: string): void {
  write(() => localStorage, `parley.${name}`, value);
}

function isRememberedCall(value: unknown): value is RememberedCall {
  if (typeof value !== "object" || value === null) return false;
  return ["session_id", "room", "identity", "name"].every(
    (key) => typeof Reflect.get(value, key) === "string",
  );
}

/** Even naming a storage throws where it is switched off; the page works without it. */
function read(storage: () => Storage, key: string): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

function write(storage: () => Storage, key: string, value: string | null): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    // Switched off or full.
  }
}
