import type { Handler, Quirk } from "../quirks.ts";

const EVERYTHING = /./;

function at(request: Request, path: string): Request {
  const url = new URL(request.url);
  url.pathname = path;
  return new Request(url.href, request);
}

const notFound = () => new Response("404 page not found", { status: 404 });

/** Serves its API below `prefix` only, and says hello at its root, as Ollama does below `/v1`. */
export function servedAt(prefix: string): Quirk {
  return {
    name: `serves ${prefix || "/"} only`,
    report: "skye-harris/hass_local_openai_llm#15",
    path: EVERYTHING,
    async answer(request, next) {
      const { pathname } = new URL(request.url);
      if (pathname === "/" && prefix !== "") return new Response("Ollama is running");
      if (!pathname.startsWith(`${prefix}/`)) return notFound();
      return next(at(request, `/v1${pathname.slice(prefix.length)}`));
    },
  };
}

/** Answers with its web page at every path that it does not know. */
export const webPage: Quirk = {
  name: "is a web page",
  report: "NousResearch/hermes-agent#7516",
  path: EVERYTHING,
  answer: async () =>
    new Response("<!doctype html><title>Router</title>", {
      headers: { "Content-Type": "text/html" },
    }),
};

/** Answers 200 with an error where there is nothing. */
export const falseSuccess: Quirk = {
  name: "answers 200 to unknown paths",
  report: "sigoden/aichat#1100",
  path: /^(?!\/v1\/)/,
  answer: async (request) =>
    Response.json({
      error: `Unexpected endpoint or method. (${request.method} ${new URL(request.url).pathname})`,
    }),
};

/** Redirects requests to another address, such as the same with a slash at its end. */
export function redirects(path: RegExp, to: (url: URL) => string, status = 307): Quirk {
  return {
    name: `redirects ${path.source}`,
    report: "ollama/ollama#2474",
    path,
    answer: async (request) => Response.redirect(to(new URL(request.url)), status),
  };
}

/** Lists its models in this form. */
export function modelList(answer: unknown, status = 200): Quirk {
  return {
    name: `lists ${JSON.stringify(answer).slice(0, 60)}`,
    report: "p0n1/epub_to_audiobook#147",
    path: /^\/v1\/models$/,
    answer: async () => Response.json(answer, { status }),
  };
}

/** Has no list of models. */
export const noModels: Quirk = {
  name: "has no list of models",
  report: "skye-harris/hass_local_openai_llm#15",
  path: /^\/v1\/models$/,
  answer: async () => Response.json({ detail: "Not Found" }, { status: 404 }),
};

/** Lists its voices in this form at a path of its own. */
export function voiceList(answer: unknown, path = "/v1/audio/voices"): Quirk {
  return {
    name: `lists voices at ${path}`,
    report: "p0n1/epub_to_audiobook#147",
    path: new RegExp(`^${path}$`),
    answer: async () => Response.json(answer),
  };
}

/** Refuses names that it does not know, each in its own form. */
export function strictNames(names: { models: string[]; voices?: string[] }): Quirk {
  return {
    name: "refuses other names",
    report: "speaches-ai/speaches#648",
    path: /^\/v1\/(chat\/completions|audio\/speech)$/,
    async answer(request, next: Handler) {
      const body: unknown = await request.clone().json();
      const of = (name: string) => String(Reflect.get(Object(body), name));
      if (!names.models.includes(of("model"))) {
        return Response.json({ error: { message: "model not found" } }, { status: 404 });
      }
      const speaks = request.url.endsWith("/audio/speech");
      if (speaks && names.voices && !names.voices.includes(of("voice"))) {
        const message = `Voice '${of("voice")}' not found`;
        return Response.json({ detail: { error: "validation_error", message } }, { status: 400 });
      }
      return next(request);
    },
  };
}
