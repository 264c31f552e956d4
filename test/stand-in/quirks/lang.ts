import type { Handler, Quirk } from "../quirks.ts";

const PATH = /\/audio\/transcriptions$/;

/** What `next` answers, with other fields. */
async function changed(
  request: Request,
  next: Handler,
  change: (text: string) => object,
): Promise<Response> {
  const response = await next(request);
  const { text = "" }: { text?: string } = Object(await response.json());
  return Response.json(change(text));
}

/** Without a language the recogniser translates: it answers these words instead of what was said. */
export function translates(words: string): Quirk {
  return {
    name: "translates where no language is given",
    report: "open-webui/open-webui#6926",
    path: PATH,
    answer: async (request, next) => {
      const form = await request.clone().formData();
      return form.has("language") ? next(request) : changed(request, next, () => ({ text: words }));
    },
  };
}

/** The recogniser tells what language it has heard, by its English name as in `verbose_json`. */
export function detects(languageOf: (text: string) => string): Quirk {
  return {
    name: "tells the language",
    report: "speaches-ai/speaches#86",
    path: PATH,
    answer: (request, next) =>
      changed(request, next, (text) => ({ task: "transcribe", language: languageOf(text), text })),
  };
}
