/** @jsxImportSource hono/jsx */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { type OfferedByStage, OfferedLists } from "../../../views/fragments/offered-names.tsx";
import { FoundServers } from "../../../views/fragments/provider-forms.tsx";
import { SpeakerOptions } from "../../../views/fragments/speakers.tsx";
import { type ModelService, modelId } from "../../domain/catalog.ts";
import {
  type Endpoint,
  type ProviderSettingsService,
  providerKey,
  providerModel,
  providerUrl,
  providerVoice,
  type StageChoice,
} from "../../domain/provider.ts";
import { speakerNumber } from "../../domain/speaker.ts";
import { STAGES, type Stage } from "../../domain/stage.ts";
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
  stt_realtime: optional(z.enum(["auto", "true", "false"])),
});
type EndpointForm = z.infer<typeof endpointForm>;
const offeredForm = endpointForm.pick({ stages: true, base_url: true, api_key: true }).extend({
  /** Prefix of the form's ids. */
  form_id: z.string().regex(/^[a-z-]{1,40}$/),
});
const speechToSpeechForm = z.object({
  base_url: providerUrl,
  api_key: optional(providerKey),
  model: providerModel,
  voice: providerVoice,
});
const secondForm = z.object({
  stage: z.enum(STAGES),
  use: z.union([z.enum(["none", "openai", "endpoint"]), z.string().startsWith("local:")]),
  base_url: optional(providerUrl),
  api_key: optional(providerKey),
  model: optional(providerModel),
  voice: optional(providerVoice),
});
const localForm = z.object({
  stage: z.enum(STAGES),
  model: modelId,
  voice: optional(providerVoice),
});

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
    const choices = form.stages.map((stage) => [stage, endpointOf(form, stage)] as const);
    await providers.useEndpoints(Object.fromEntries(choices));
    return goTo(c, form.next);
  });
  app.post("/providers/offered", async (c) => {
    c.header("Cache-Control", "no-store");
    const fields = offeredForm.safeParse(await formFields(c));
    if (!fields.success) return c.body(null, 200);
    const { form_id, stages, base_url, api_key } = fields.data;
    const endpoint = { base_url, ...(api_key !== undefined && { api_key }) };
    return c.html(
      <OfferedLists id={form_id} {...(await offeredBy(providers, stages, endpoint))} />,
    );
  });
  app.post("/providers/second", async (c) => {
    const form = parse(secondForm, await formFields(c));
    await providers.useSecond(form.stage, await secondChoice(form, models));
    return goTo(c, "/models");
  });
  app.post("/providers/local", async (c) => {
    const form = parse(localForm, await formFields(c));
    const { model } = await models.find(form.model);
    if (model.stage !== form.stage)
      throw new Failure("invalid", "This model cannot be used for that.");
    const { id, kind } = model;
    if (form.stage === "tts" && form.voice !== undefined) {
      const speakers = await providers.speakers(model);
      if (speakerNumber(speakers, form.voice) === undefined)
        throw new Failure("invalid", `${model.name} has no voice ${form.voice}.`);
    }
    const voice = form.stage === "tts" ? form.voice : undefined;
    providers.useLocal(model.stage, { id, kind, voice });
    return goTo(c, "/models");
  });
  app.get("/providers/speakers", async (c) => {
    c.header("Cache-Control", "no-store");
    const { model } = await models.find(parse(modelId, c.req.query("model")));
    return c.html(<SpeakerOptions speakers={await providers.speakers(model)} />);
  });
  app.post("/providers/speech-to-speech", async (c) => {
    const { api_key, ...choice } = parse(speechToSpeechForm, await formFields(c));
    await providers.useSpeechToSpeech({ ...choice, ...(api_key ? { api_key } : {}) });
    return goTo(c, "/models");
  });
  app.post("/providers/stages", async (c) => {
    await providers.useSpeechToSpeech(undefined);
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

function endpointOf(form: EndpointForm, stage: Stage): Endpoint {
  const { base_url, api_key, tts_voice: voice, stt_realtime: realtime } = form;
  const model = form[`${stage}_model`];
  return {
    base_url,
    ...(api_key !== undefined && { api_key }),
    ...(model !== undefined && { model }),
    ...(stage === "tts" && voice !== undefined && { voice }),
    ...(stage === "stt" && /true|false/.test(realtime ?? "") && { realtime: realtime === "true" }),
  };
}

/** What a form chose to take over for a stage. @throws Failure */
async function secondChoice(
  { stage, use, base_url, api_key, model, voice }: z.infer<typeof secondForm>,
  models: ProviderDeps["models"],
): Promise<StageChoice | undefined> {
  if (use === "none") return undefined;
  if (use === "openai") return { use };
  if (use === "endpoint") {
    if (base_url === undefined) throw new Failure("invalid", "the address is missing");
    return {
      ...{ use, base_url },
      ...(api_key !== undefined && { api_key }),
      ...(model !== undefined && { model }),
      ...(stage === "tts" && voice !== undefined && { voice }),
    };
  }
  const found = await models.find(parse(modelId, use.slice("local:".length)));
  if (found.model.stage !== stage)
    throw new Failure("invalid", "This model cannot be used for that.");
  return { use: "local", model: found.model.id, kind: found.model.kind };
}

/** What a server offers for some stages; a problem concerns all of them. */
async function offeredBy(
  providers: ProviderSettingsService,
  stages: readonly Stage[],
  endpoint: Endpoint,
): Promise<{ offered: OfferedByStage; problem?: string }> {
  const answers = await Promise.allSettled(
    stages.map(async (stage) => [stage, await providers.offered(stage, endpoint)] as const),
  );
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  const refused = answers.find((answer) => answer.status === "rejected");
  if (found.length > 0 || refused === undefined) return { offered: Object.fromEntries(found) };
  if (refused.reason instanceof Failure) return { offered: {}, problem: refused.reason.message };
  throw refused.reason;
}

/** HTMX needs a header to load a page: its fetch would follow a redirect by itself. */
function goTo(c: Context, path: string): Response {
  return isHtmx(c) ? c.body(null, 204, { "HX-Redirect": path }) : c.redirect(path, 303);
}
