import { MemoryLog, memoryLogger } from "../../test/event-log.ts";
import { channelLayerContract } from "./channel-layer.contract.ts";
import { LocalChannelLayer } from "./channel-layer.ts";

channelLayerContract("LocalChannelLayer", async () => {
  const log = new MemoryLog();
  const layer = new LocalChannelLayer({ log, logger: memoryLogger() });
  return { layer, log, [Symbol.asyncDispose]: () => layer[Symbol.asyncDispose]() };
});
