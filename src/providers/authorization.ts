import type { ProviderEndpoint } from "../domain/stage.ts";

/** The header that carries a provider's key; none for servers that want no key. */
export function authorization({ apiKey }: Pick<ProviderEndpoint, "apiKey">): {
  Authorization?: string;
} {
  return apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` };
}
