import type { Room, TextStreamReader } from "@livekit/rtc-node";
import type { Logger } from "pino";
import { MAX_TYPED, typedText } from "../domain/session.ts";
import type { Notice } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";
import { DeadlineExceeded, withDeadline } from "../lib/deadline.ts";

/** The topic on which LiveKit's clients send what a person types. */
const CHAT_TOPIC = "lk.chat";
/** How long a message may take to arrive, in ms. */
const ARRIVAL_MS = 10_000;
/** Messages that may be on their way at once. */
const MAX_ARRIVING = 16;

export interface TypedWordsHandlers {
  /** Whether a participant is the person, whose words count. */
  isPerson(identity: string): boolean;
  /** Words that obey the limits of typed words. */
  onWords(text: string): Promise<void>;
  onNotice(notice: Notice): void;
  logger: Logger;
}

/**
 * Receives what the person types in the room, within the limits that `POST /session/:id/message`
 * has as well. A message that breaks them is not read to its end, and a notice says why.
 */
export function receiveTypedWords(
  room: Pick<Room, "registerTextStreamHandler">,
  { isPerson, onWords, onNotice, logger }: TypedWordsHandlers,
): void {
  let arriving = 0;
  const receive = async (reader: TextStreamReader, identity: string) => {
    arriving += 1;
    try {
      if (!isPerson(identity)) return;
      if (arriving > MAX_ARRIVING) return onNotice(refusal("too many arrive at once"));
      const checked = typedText.safeParse(
        await withDeadline(read(reader), ARRIVAL_MS, "a message"),
      );
      if (checked.success) await onWords(checked.data);
      else onNotice(refusal(checked.error.issues[0]?.message ?? "it cannot be read"));
    } catch (error) {
      if (error instanceof DeadlineExceeded) onNotice(refusal("it did not arrive in time"));
      else logger.warn({ err: messageOf(error) }, "a typed message was lost");
    } finally {
      arriving -= 1;
      await reader.close();
    }
  };
  room.registerTextStreamHandler(CHAT_TOPIC, (reader, { identity }) => {
    void receive(reader, identity);
  });
}

/** Reads a message, or more of it than is allowed. */
async function read(reader: TextStreamReader): Promise<string> {
  let text = "";
  for await (const part of reader) {
    text += part;
    if (text.length > MAX_TYPED) break;
  }
  return text;
}

function refusal(why: string): Notice {
  const message = `Your message was not sent: ${why}.`;
  return { code: "message_refused", message, transient: true };
}
