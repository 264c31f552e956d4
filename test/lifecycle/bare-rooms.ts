// What rtc-node itself keeps of each room, without anything of Parley's: joins rooms, gives each a
// track, leaves them, and prints the memory after each as one JSON line. LiveKit's address and keys
// come in the environment.
import { AudioSource, LocalAudioTrack, Room, TrackPublishOptions } from "@livekit/rtc-node";
import { agentToken } from "../../src/livekit/tokens.ts";

const url = Bun.env["LIVEKIT_URL"] ?? "";
const apiKey = Bun.env["LIVEKIT_API_KEY"] ?? "";
const apiSecret = Bun.env["LIVEKIT_API_SECRET"] ?? "";
const rss: number[] = [];
for (let cycle = 0; cycle < Number(Bun.argv[2]); cycle++) {
  const identity = `agent-${cycle}`;
  const token = await agentToken({ apiKey, apiSecret, room: identity, identity, name: "" });
  const room = new Room();
  await room.connect(url, token);
  const source = new AudioSource(24_000, 1, 200);
  const track = LocalAudioTrack.createAudioTrack("voice", source);
  await room.localParticipant?.publishTrack(track, new TrackPublishOptions());
  await source.close();
  await room.disconnect();
  Bun.gc(true);
  rss.push(process.memoryUsage().rss);
}
console.log(JSON.stringify({ rss }));
process.exit(0);
