import { AUTOMATIC } from "../domain/language.ts";
import { listed } from "../lib/words.ts";
import type { StartRequest } from "./api.ts";

/** What the person filled in before a start. */
export interface StartForm extends StartRequest {
  name: string;
}

export interface SetupElements {
  form: HTMLFormElement;
  room: HTMLInputElement;
  identity: HTMLInputElement;
  name: HTMLInputElement;
  language: HTMLSelectElement;
}

/** The form for a new conversation: room, identity, name and the wishes for the agent. */
export class SetupForm {
  readonly #elements: SetupElements;

  constructor(elements: SetupElements) {
    this.#elements = elements;
  }

  get identity(): string {
    return this.#elements.identity.value.trim();
  }

  /** The language that is chosen, as a BCP 47 tag; undefined: the recogniser finds out. */
  get language(): string | undefined {
    const { value } = this.#elements.language;
    return value === AUTOMATIC ? undefined : value;
  }

  /** The values, which are also saved as preferences; undefined if one of them is invalid. */
  submit(): StartForm | undefined {
    if (!this.#elements.form.reportValidity()) return undefined;
    const data = new FormData(this.#elements.form);
    const value = (name: string): string => String(data.get(name) ?? "").trim();
    setPreference("name", value("name"));
    setPreference("identity", value("identity"));
    const language = this.#ownLanguage();
    setPreference("language", language);
    return {
      room: value("room"),
      identity: value("identity"),
      name: value("name"),
      system_prompt: value("system_prompt"),
      greeting: value("greeting"),
      voice: value("voice"),
      ...(language === "" ? {} : { language }),
      keyterms: listed(value("keyterms")),
    };
  }

  /** Fills in the call from before a reload if there is one, else the saved preferences. */
  restore(call: RememberedCall | undefined): void {
    const { room, identity, name, language } = this.#elements;
    name.value ||= preference("name") ?? "";
    identity.value = preference("identity") || randomName("guest");
    const chosen = preference("language");
    if (optionsOf(language).some(({ value }) => value === chosen)) language.value = chosen ?? "";
    if (call === undefined) return;
    room.value = call.room;
    identity.value = call.identity;
    name.value = call.name;
  }

  /** The language if it is another one than the server's, else empty. */
  #ownLanguage(): string {
    const { language } = this.#elements;
    const configured = optionsOf(language).find(({ defaultSelected }) => defaultSelected);
    return language.value === configured?.value ? "" : language.value;
  }

  /** Changes the room to one with a similar name. */
  useOtherRoom(): void {
    this.#elements.room.value = otherRoom(this.#elements.room.value);
  }
}

function optionsOf(select: HTMLSelectElement): HTMLOptionElement[] {
  return [...select.options];
}

/** Letters and digits that cannot be mistaken for one another. */
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const SUFFIX = new RegExp(`-[${ALPHABET}]{4}$`);
const MAX_STEM_LENGTH = 100;

/** A short name that is easy to read aloud, such as `guest-k3f9`. */
export function randomName(stem: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  const letters = Array.from(bytes, (byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${stem}-${letters.join("")}`;
}

/** A room with a similar name, for when `room` is taken: `kitchen` -> `kitchen-p7wd`. */
export function otherRoom(room: string): string {
  return randomName(room.replace(SUFFIX, "").slice(0, MAX_STEM_LENGTH) || "room");
}

/** What the page needs to find its live session again after a reload. */
export interface RememberedCall {
  session_id: string;
  room: string;
  identity: string;
  name: string;
}

const CALL = "parley.call";

/** Stores the live call, for this tab only. */
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

function isRememberedCall(value: unknown): value is RememberedCall {
  if (typeof value !== "object" || value === null) return false;
  return ["session_id", "room", "identity", "name"].every(
    (key) => typeof Reflect.get(value, key) === "string",
  );
}

type Preference = "name" | "identity" | "language" | "microphone";

/** A value saved for later visits; null if there is none. */
export function preference(name: Preference): string | null {
  return read(() => localStorage, `parley.${name}`);
}

export function setPreference(name: Preference, value: string): void {
  write(() => localStorage, `parley.${name}`, value);
}

/** Where storage is disabled, even reading its name throws. The page works without it. */
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
    // Disabled or full.
  }
}
