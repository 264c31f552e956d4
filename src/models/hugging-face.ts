const PUBLIC = "https://huggingface.co";

export interface HuggingFace {
  /** Hugging Face itself or a mirror of it, without a slash at the end. */
  endpoint: string;
  token: string | undefined;
}

/** Without a mirror or an account. */
export const PUBLIC_HUGGING_FACE: HuggingFace = { endpoint: PUBLIC, token: undefined };

/**
 * Where a file is requested: at the mirror instead of Hugging Face, and with the token there and
 * nowhere else.
 */
export function requestFor(
  address: string,
  { endpoint, token }: HuggingFace,
): { url: string; headers?: Record<string, string> } {
  const url = address.startsWith(`${PUBLIC}/`) ? endpoint + address.slice(PUBLIC.length) : address;
  if (token === undefined || !url.startsWith(`${endpoint}/`)) return { url };
  return { url, headers: { Authorization: `Bearer ${token}` } };
}
