import { type Context, Hono } from "hono";
import { z } from "zod";
import { FoundServers } from "../../../views/fragments/provider-forms.tsx";
import { type ModelService, modelId } from "../../domain/catalog.ts";
import {
  type ProviderSettingsService,
  providerKey,
  providerModel,
  providerUrl,
  providerVoice,
} from "../../domain/provider.ts";
import { STAGES } from "../../domain/stage.ts";
import { Failure } from "../../errors.ts";
import { formFields, isHtmx, optional, parse } from "../request.ts";

export interface ProviderDeps {
  models: Pick<ModelService, "find">;
  providers: ProviderSettingsService;
}

const next = z.enum(["/", "/models"]).catch("/models");
const stages = z.preprocess(
  (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]),
  z.array(z.enum(STAGES)).min(1, "Select at least one use."),
);

const openAiForm = z.object({ next, stages, api_key: optional(providerKey) });
const endpointForm = z.object({
  next,
  stages,
  base_url: providerUrl,
  api_key: optional(providerKey),
  stt_model: optional(providerModel),
  llm_model: optional(providerModel),
  tts_model: optional(providerModel),
  tts_voice: optional(providerVoice),
});
const localForm = z.object({ stage: z.enum(STAGES), model: modelId });

/** The forms that choose who serves each stage. */
export function providerRoutes({ models, providers }: ProviderDeps): Hono {
  const app = new Hono();
  app.post("/providers/openai", async (c) => {
    const form = parse(openAiForm, await formFields(c));
    await providers.useOpenAi(form.stages, form.api_key);
    return goTo(c, form.next);
  });
  app.post("/providers/endpoint", async (c) => {
    const form = parse(endpointForm, await formFields(c));
    const { base_url, api_key } = form;
    for (const stage of form.stages) {
      const [model, voice] = [form[`${stage}_model`], form.tts_voice];
      await providers.useEndpoint([stage], {
        base_url,
        ...(api_key === undefined ? {} : { api_key }),
        ...(model === undefined ? {} : { model }),
        ...(stage === "tts" && voice !== undefined ? { voice } : {}),
      });
    }
    return goTo(c, form.next);
  });
  app.post("/providers/local", async (c) => {
    const form = parse(localForm, await formFields(c));
    const { model } = await models.find(form.model);
    if (model.stage !== form.stage)
      throw new Failure("invalid", "This model cannot be used for that.");
    providers.useLocal(model.stage, model);
    return goTo(c, "/models");
  });
  app.post("/providers/forget", (c) => {
    providers.forget();
    return goTo(c, "/models");
  });
  app.get("/providers/found", async (c) => {
    c.header("Cache-Control", "no-store");
    const servers = await providers.localServers();
    return c.html(<FoundServers servers={servers} next={next.parse(c.req.query("next"))} />);
  });
  return app;
}

/** HTMX needs a header to load a page: its fetch would follow a redirect by itself. */
function goTo(c: Context, path: string): Response {
  return isHtmx(c) ? c.body(null, 204, { "HX-Redirect": path }) : c.redirect(path, 303);
}
