import { memoryLogger, openLog } from "../../test/event-log.ts";
import { channelLayerContract } from "./channel-layer.contract.ts";
import { LocalChannelLayer } from "./channel-layer.ts";

channelLayerContract("LocalChannelLayer", async () => {
  const stored = openLog((envelope) => layer.publish(envelope));
  const layer = new LocalChannelLayer({ log: stored.events, logger: memoryLogger() });
  return {
    layer,
    stored,
    [Symbol.asyncDispose]: async () => {
      await layer[Symbol.asyncDispose]();
      stored[Symbol.dispose]();
    },
  };
});
