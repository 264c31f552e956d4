/** @jsxImportSource hono/jsx */
import { Hono } from "hono";
import { OfferContent, type OfferProps } from "../../../views/fragments/offer.tsx";
import type { ModelService, OfflineSetup } from "../../domain/catalog.ts";
import type { ProviderSettingsService } from "../../domain/provider.ts";
import { Failure } from "../../errors.ts";
import { acknowledge, liveFragment } from "../live-fragment.ts";
import { readerLanguage } from "../request.ts";

export interface OfferDeps {
  models: Pick<ModelService, "subscribe" | "warning">;
  providers: Pick<ProviderSettingsService, "overview" | "hasOpenAiKey">;
  offline: OfflineSetup;
}

/** The set-up that the first page offers, with the progress of its downloads. */
export function offerRoutes(deps: OfferDeps): Hono {
  const { models, offline } = deps;
  const app = new Hono();
  app.get("/offer/events", (c) => {
    const subscribe = (onChange: () => void) => {
      const both = new DisposableStack();
      both.use(models.subscribe(onChange));
      both.use(offline.subscribe(onChange));
      return both;
    };
    return liveFragment(c, subscribe, async () =>
      String(<OfferContent {...(await offerOf(deps, readerLanguage(c)))} />),
    );
  });
  app.post("/offer/download", async (c) => {
    await offline.begin(readerLanguage(c));
    return acknowledge(c, "/");
  });
  app.post("/offer/cancel", async (c) => {
    offline.cancel();
    return acknowledge(c, "/");
  });
  return app;
}

/** What the first page offers while a stage has no provider. */
export async function offerOf(
  { providers, models, offline }: OfferDeps,
  language: string | undefined,
): Promise<OfferProps> {
  const planned = async () => ({
    plan: await offline.plan(language),
    warning: await models.warning(language),
  });
  const { plan, warning } = await planned().catch((error: unknown) => {
    if (error instanceof Failure) return { plan: error.message, warning: undefined };
    throw error;
  });
  return {
    overview: providers.overview(),
    hasOpenAiKey: providers.hasOpenAiKey,
    plan,
    warning,
    underWay: offline.underWay,
  };
}
