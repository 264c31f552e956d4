/** Without letters and digits that are taken for one another. */
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const SUFFIX = new RegExp(`-[${ALPHABET}]{4}$`);
const LONGEST_STEM = 100;

/** A short name that is easy to read aloud, such as `guest-k3f9`. */
export function randomName(stem: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  const letters = Array.from(bytes, (byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${stem}-${letters.join("")}`;
}

/** Another room like `room`, for when that one is taken: `kitchen` -> `kitchen-p7wd`. */
export function otherRoom(room: string): string {
  return randomName(room.replace(SUFFIX, "").slice(0, LONGEST_STEM) || "room");
}

/** Elapsed time as `0:07`, `12:34` or `1:02:03`. */
export function clock(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const seconds = String(total % 60).padStart(2, "0");
  const minutes = Math.floor(total / 60) % 60;
  const hours = Math.floor(total / 3600);
  if (hours === 0) return `${minutes}:${seconds}`;
  return `${hours}:${String(minutes).padStart(2, "0")}:${seconds}`;
}
