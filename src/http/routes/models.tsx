/** @jsxImportSource hono/jsx */
import { type Context, Hono } from "hono";
import { CatalogList } from "../../../views/fragments/catalog.tsx";
import type { Shell } from "../../../views/layout.tsx";
import { ModelsPage } from "../../../views/models.tsx";
import { type ListedModel, type ModelService, modelId } from "../../domain/catalog.ts";
import type { ProviderSettingsService } from "../../domain/provider.ts";
import type { Speaker } from "../../domain/speaker.ts";
import { Failure } from "../../errors.ts";
import { acknowledge, liveFragment } from "../live-fragment.ts";

export interface ModelDeps {
  models: ModelService;
  providers: ProviderSettingsService;
  /** What language models compute on, for people; undefined if no GPU is wished. */
  gpuNotice?: (() => string | undefined) | undefined;
  shell: Shell;
}

/** The Models page and the actions of its buttons. */
export function modelRoutes({ models, providers, gpuNotice, shell }: ModelDeps): Hono {
  const app = new Hono();
  const catalog = async () =>
    String(<CatalogList models={await models.list()} overview={providers.overview()} />);

  app.get("/models", async (c) => {
    c.header("Cache-Control", "no-store");
    return c.html(
      <ModelsPage
        shell={shell}
        overview={providers.overview()}
        speechToSpeech={providers.speechToSpeech()}
        hasOpenAiKey={providers.hasOpenAiKey}
        models={await listOrReason(models)}
        speakers={await chosenSpeakers(models, providers)}
        folder={models.folder}
        gpu={gpuNotice?.()}
      />,
    );
  });
  app.get("/models/events", (c) => liveFragment(c, (notify) => models.subscribe(notify), catalog));
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
  models: ModelService,
  providers: ProviderSettingsService,
): Promise<Speaker[]> {
  const listed = await listOrReason(models);
  if (typeof listed === "string") return [];
  const voices = listed.filter(({ model, state }) => {
    return model.stage === "tts" && state.state === "present";
  });
  const used = providers.overview().find(({ stage }) => stage === "tts");
  const shown = voices.find(({ model }) => model.id === used?.model) ?? voices[0];
  return shown === undefined ? [] : providers.speakers(shown.model);
}

/** The catalogue, or the reason why it cannot be read. */
async function listOrReason(service: ModelService): Promise<ListedModel[] | string> {
  try {
    return await service.list();
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

function idOf(c: Context): string {
  const parsed = modelId.safeParse(c.req.param("id"));
  if (!parsed.success) throw new Failure("not_found", "There is no such model.");
  return parsed.data;
}
