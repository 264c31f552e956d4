import type { Engine } from "../domain/model.ts";
import { Failure } from "../errors.ts";

/** Stands where a Parley has no engine: models of this machine are refused with a clear word. */
export function noEngine(): Engine {
  return {
    baseURL: "http://127.0.0.1:9/v1",
    apiKey: "none",
    ready: async () => {
      throw new Failure(
        "unavailable",
        "This Parley has no engine for models on this machine: choose OpenAI or another endpoint on the Models page.",
      );
    },
    use: () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
