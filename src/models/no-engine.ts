import type { Engine } from "../domain/model.ts";
import { Failure } from "../errors.ts";

export const NO_ENGINE =
  "This executable cannot run local models. Use parley-offline or Parley's source tree, or choose " +
  "OpenAI or another server.";

/** Takes the engine's place in a program without one: it refuses local models and says why. */
export function noEngine(): Engine {
  return {
    serverOf: () => ({ baseURL: "http://127.0.0.1:9/v1", apiKey: "none" }),
    ready: async () => {
      throw new Failure("unavailable", NO_ENGINE);
    },
    use: () => {},
    state: () => [],
    [Symbol.asyncDispose]: async () => {},
  };
}
