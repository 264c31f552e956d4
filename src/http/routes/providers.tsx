import { type Context, Hono } from "hono";
import { z } from "zod";
import { OfferContent, type OfferProps } from "../../../views/fragments/offer.tsx";
import { FoundServers } from "../../../views/fragments/provider-forms.tsx";
import { type ModelService, modelId, type OfflineSetup } from "../../domain/catalog.ts";
import { MODEL_STAGES } from "../../domain/model.ts";
import {
  type ProviderSettingsService,
  providerKey,
  providerModel,
  providerUrl,
  providerVoice,
} from "../../domain/provider.ts";
import { Failure } from "../../errors.ts";
import { liveFragment, seenByEvents } from "../live-fragment.ts";
import { parse } from "../validation.ts";

export interface ProviderDeps {
  models: ModelService;
  providers: ProviderSettingsService;
  offline: OfflineSetup;
}

/** Forms send what is left empty, too. */
function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (value) => (typeof value === "string" && value.trim() === "" ? undefined : value),
    schema.optional(),
  );
}

const next = z.enum(["/", "/models"]).catch("/models");
const stages = z.preprocess(
  (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]),
  z.array(z.enum(MODEL_STAGES)).min(1, "choose what it shall be used for"),
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
const localForm = z.object({ stage: z.enum(MODEL_STAGES), model: modelId });

/** What somebody chooses: who serves each stage, on the first visit or later. */
export function providers(deps: ProviderDeps): Hono {
  const { models, providers: service, offline } = deps;
  const app = new Hono();
  app.post("/providers/openai", async (c) => {
    const form = parse(openAiForm, await fields(c));
    await service.useOpenAi(form.stages, form.api_key);
    return goTo(c, form.next);
  });
  app.post("/providers/endpoint", async (c) => {
    const form = parse(endpointForm, await fields(c));
    const { base_url, api_key } = form;
    for (const stage of form.stages) {
      const [model, voice] = [form[`${stage}_model`], form.tts_voice];
      await service.useEndpoint([stage], {
        base_url,
        ...(api_key === undefined ? {} : { api_key }),
        ...(model === undefined ? {} : { model }),
        ...(stage === "tts" && voice !== undefined ? { voice } : {}),
      });
    }
    return goTo(c, form.next);
  });
  app.post("/providers/local", async (c) => {
    const form = parse(localForm, await fields(c));
    const { model } = await models.find(form.model);
    if (model.stage !== form.stage) throw new Failure("invalid", "This model does something else.");
    service.useLocal(model.stage, model);
    return goTo(c, "/models");
  });
  app.post("/providers/forget", (c) => {
    service.forget();
    return goTo(c, "/models");
  });
  app.get("/providers/found", async (c) => {
    c.header("Cache-Control", "no-store");
    const servers = await service.localServers();
    return c.html(<FoundServers servers={servers} next={next.parse(c.req.query("next"))} />);
  });
  offerRoutes(app, deps, offline);
  return app;
}

function offerRoutes(app: Hono, deps: ProviderDeps, offline: OfflineSetup): void {
  const content = async () => String(<OfferContent {...(await offerOf(deps))} />);
  app.get("/offer/events", (c) => {
    const subscribe = (tell: () => void) => {
      const both = new DisposableStack();
      both.use(deps.models.subscribe(tell));
      both.use(offline.subscribe(tell));
      return both;
    };
    return liveFragment(c, subscribe, content);
  });
  app.post("/offer/download", async (c) => {
    await offline.begin();
    return seenByEvents(c, "/");
  });
  app.post("/offer/cancel", async (c) => {
    offline.cancel();
    return seenByEvents(c, "/");
  });
}

/** What the first page offers while nobody serves a stage. */
export async function offerOf({ providers, offline }: ProviderDeps): Promise<OfferProps> {
  const plan = await offline.plan().catch((error: unknown) => {
    if (error instanceof Failure) return error.message;
    throw error;
  });
  return {
    overview: providers.overview(),
    hasOpenAiKey: providers.hasOpenAiKey,
    plan,
    underWay: offline.underWay,
  };
}

/** A form's fields; a name that comes several times is a list. */
async function fields(c: Context): Promise<unknown> {
  const type = c.req.header("Content-Type") ?? "";
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/.test(type)) {
    throw new Failure("invalid", "Send this as a form.");
  }
  return c.req.parseBody({ all: true });
}

/** HTMX loads the page by a header: what it sent with the form would follow a redirect. */
function goTo(c: Context, path: string): Response {
  return c.req.header("HX-Request")
    ? c.body(null, 204, { "HX-Redirect": path })
    : c.redirect(path, 303);
}
