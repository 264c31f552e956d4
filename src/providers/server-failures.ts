import type { Stage, StageEndpoint } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { STAGE_NOUNS } from "../lib/words.ts";
import type { NotFound } from "./find-server.ts";
import { describeProviderError } from "./provider-errors.ts";
import { sourceOf } from "./provider-source.ts";

/** What to tell people about an address at which no server was found. */
export function notFoundFailure(provider: StageEndpoint, reason: NotFound): Failure {
  const { stage, baseURL } = provider;
  const { host, origin } = new URL(baseURL);
  const source = { ...sourceOf(stage, provider), hasWorked: false };
  const failure = (message: string, cause?: unknown) =>
    new Failure("upstream_failed", message, { cause });
  switch (reason.why) {
    case "refused":
      return failure(describeProviderError(stage, reason, source).message, reason);
    case "unreachable":
      return failure(describeProviderError(stage, reason.cause, source).message, reason.cause);
    case "forwards": {
      const { origin: other, pathname } = new URL(reason.to);
      return failure(
        `${host} forwards to another server, which the key is not sent to. If that is the right one, enter its address: ${other}${pathname.slice(0, 200)}`,
      );
    }
    case "other": {
      const what = reason.page
        ? "There is a web page at this address"
        : `Something answers at ${host}`;
      return failure(
        `${what}, but no server with OpenAI's API; its address usually ends in /v1, as in ${origin}/v1. Check ${source.places.address}.`,
      );
    }
  }
}

/** A server that has no endpoint for a stage. */
export function notOffered(stage: Stage, host: string): Failure {
  return new Failure(
    "upstream_failed",
    `The server at ${host} does not offer ${STAGE_NOUNS[stage]}. Choose another server for it.`,
  );
}

/**
 * A server that lists several names, of which none was chosen.
 *
 * @param of `strict`: a person has just left the field empty
 */
export function notChosen(
  of: { stage: Stage; what: "model" | "voice"; host: string; strict: boolean },
  names: readonly string[],
): Failure {
  const { stage, what, host, strict } = of;
  const variable = `${stage.toUpperCase()}_${what.toUpperCase()}`;
  const choose = strict ? "Choose one." : `Choose one on the Models page, or set ${variable}.`;
  const use = what === "model" ? ` for ${STAGE_NOUNS[stage]}` : "";
  const lists =
    names.length === 0 ? `no ${what}${use}` : `several ${what}s${use}: ${listed(names)}`;
  return new Failure(
    strict ? "invalid" : "unavailable",
    `The server at ${host} lists ${lists}. ${choose}`,
  );
}

/** A name that is not among those that a server lists. */
export function notListed(
  what: "model" | "voice",
  wish: string,
  near: readonly string[],
  all: number,
): Failure {
  const names = near.join(", ");
  const lists =
    all <= near.length ? `This server lists ${names}` : `This server lists ${all} ${what}s`;
  const hint = all <= near.length ? "" : ` The nearest are: ${names}.`;
  return new Failure("invalid", `${lists}; “${wish}” is not among them.${hint}`);
}

const MAX_LISTED = 8;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED).join(", ");
  const more = names.length - MAX_LISTED;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
