/** @jsxImportSource hono/jsx */
import { type Context, Hono } from "hono";
import { CatalogList } from "../../../views/fragments/catalog.tsx";
import type { Shell } from "../../../views/layout.tsx";
import { ModelsPage } from "../../../views/models.tsx";
import { type ListedModel, type ModelService, modelId } from "../../domain/catalog.ts";
import { canonicalTag } from "../../domain/language.ts";
import type { ProviderSettingsService } from "../../domain/provider.ts";
import type { Speaker } from "../../domain/speaker.ts";
import { Failure } from "../../errors.ts";
import { acknowledge, liveFragment } from "../live-fragment.ts";
import { readerLanguage } from "../request.ts";

export interface ModelDeps {
  models: ModelService;
  providers: ProviderSettingsService;
  /** What language models compute on, for people; undefined if no GPU is asked for. */
  gpuNotice?: (() => string | undefined) | undefined;
  shell: Shell;
}

/** The Models page and the actions of its buttons. */
export function modelRoutes({ models, providers, gpuNotice, shell }: ModelDeps): Hono {
  const app = new Hono();
  app.get("/models", async (c) => {
    c.header("Cache-Control", "no-store");
    const language = languageOf(c);
    const { models: listed, warning } = await listOrReason(models, language ?? readerLanguage(c));
    return c.html(
      <ModelsPage
        shell={shell}
        overview={providers.overview()}
        speechToSpeech={providers.speechToSpeech()}
        hasOpenAiKey={providers.hasOpenAiKey}
        speakers={await chosenSpeakers(listed, providers)}
        models={listed}
        warning={warning}
        language={language}
        folder={models.folder}
        gpu={gpuNotice?.()}
      />,
    );
  });
  app.get("/models/events", (c) => {
    const language = languageOf(c);
    const wanted = language ?? readerLanguage(c);
    const render = async () => {
      const [listed, warning] = [await models.list(wanted), await models.warning(wanted)];
      const overview = providers.overview();
      return String(<CatalogList {...{ models: listed, overview, language, warning }} />);
    };
    return liveFragment(c, (notify) => models.subscribe(notify), render);
  });
  app.post("/models/:id/download", async (c) => {
    await models.download([idOf(c)]);
    return acknowledge(c, "/models");
  });
  app.post("/models/:id/cancel", async (c) => {
    const { model } = await models.find(idOf(c));
    models.cancel(model.id);
    return acknowledge(c, "/models");
  });
  app.post("/models/:id/remove", async (c) => {
    const { model } = await models.find(idOf(c));
    const used = providers
      .overview()
      .some(({ use, model: id }) => use === "local" && id === model.id);
    if (used) {
      throw new Failure("conflict", `${model.name} is in use. Select another model first.`);
    }
    await models.remove(model.id);
    return acknowledge(c, "/models");
  });
  return app;
}

/** The speakers of the voice that the page's form begins with. */
async function chosenSpeakers(
  listed: readonly ListedModel[] | string,
  providers: ProviderSettingsService,
): Promise<Speaker[]> {
  if (typeof listed === "string") return [];
  const voices = listed.filter(({ model, state }) => {
    return model.stage === "tts" && state.state === "present";
  });
  const used = providers.overview().find(({ stage }) => stage === "tts");
  const shown = voices.find(({ model }) => model.id === used?.model) ?? voices[0];
  return shown === undefined ? [] : providers.speakers(shown.model);
}

/** The catalogue, or the reason why it cannot be read. */
async function listOrReason(service: ModelService, language: string | undefined) {
  try {
    const models = await service.list(language);
    return { models, warning: await service.warning(language) };
  } catch (error) {
    if (error instanceof Failure) return { models: error.message, warning: undefined };
    throw error;
  }
}

/** The language that the page's address asks for; what is no language counts as none. */
function languageOf(c: Context): string | undefined {
  return canonicalTag(c.req.query("language") ?? "");
}

function idOf(c: Context): string {
  const parsed = modelId.safeParse(c.req.param("id"));
  if (!parsed.success) throw new Failure("not_found", "There is no such model.");
  return parsed.data;
}
