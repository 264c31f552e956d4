// A static import in a module of its own: the bundler that makes the executable leaves a dynamic
// one of rtc-node empty, and this module is imported when the library may be loaded.
import { AudioResampler } from "@livekit/rtc-node";

/** Loads rtc-node's library and makes something with it, which the import alone need not. */
export function tryRtcLibrary(): void {
  new AudioResampler(48_000, 16_000).close();
}
