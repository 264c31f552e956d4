import { HUGGING_FACE } from "../domain/catalog.ts";

export interface HuggingFace {
  /** Hugging Face itself or a mirror of it, without a slash at the end. */
  endpoint: string;
  token: string | undefined;
}

/** Without a mirror or an account. */
export const PUBLIC_HUGGING_FACE: HuggingFace = { endpoint: HUGGING_FACE, token: undefined };

/**
 * Where a file is requested: at the mirror instead of Hugging Face, and with the token there and
 * nowhere else.
 */
export function requestFor(
  address: string,
  { endpoint, token }: HuggingFace,
): { url: string; headers?: Record<string, string> } {
  const url = address.startsWith(`${HUGGING_FACE}/`)
    ? endpoint + address.slice(HUGGING_FACE.length)
    : address;
  if (token === undefined || !url.startsWith(`${endpoint}/`)) return { url };
  return { url, headers: { Authorization: `Bearer ${token}` } };
}
