import { voice } from "@livekit/agents";
import type { Room } from "@livekit/rtc-node";
import { PERSON_KINDS } from "./person-in-room.ts";

/**
 * Starts a session that hears the person in a room, speaks there, and writes transcripts to it.
 *
 * Given a room, the session would make this link itself, and with it open the library's protocol
 * for remote control (`lk.agent.session`): with that, a participant could read the instructions,
 * switch the agent's ears off, and put words into the conversation that no transcript shows.
 *
 * @param person the identity to listen to; undefined: the first person
 * @param sampleRate of the audio that the session gets, in Hz
 */
export async function startInRoom(
  session: voice.AgentSession,
  agent: voice.Agent,
  room: Room,
  { person, sampleRate }: { person: string | undefined; sampleRate: number },
): Promise<void> {
  const link = new voice.RoomIO({
    agentSession: session,
    room,
    inputOptions: {
      ...(person === undefined ? {} : { participantIdentity: person }),
      participantKinds: PERSON_KINDS,
      audioSampleRate: sampleRate,
      // A page that reloads leaves and returns. The session manager decides when a user is gone.
      closeOnDisconnect: false,
      // `typed-words.ts` reads what people type.
      textEnabled: false,
    },
  });
  session._roomIO = link;
  const started = session.start({ agent, record: false });
  // The link asks the session for its agent, which it has as soon as its start has begun.
  link.start();
  await started;
}
