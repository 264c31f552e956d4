/** A speaker of a voice model. */
export interface Speaker {
  /** What requests name it by: its name in the model, or its number. */
  id: string;
  name: string;
  /** The BCP 47 tag of its language; `mul`: it speaks all languages of its model. */
  language: string;
  /** Undefined where the model does not say it. */
  gender: "female" | "male" | undefined;
}

/** OpenAI's voices, by how they sound. */
const OPENAI_VOICES = {
  female: ["alloy", "coral", "fable", "nova", "sage", "shimmer", "marin"],
  male: ["ash", "ballad", "echo", "onyx", "verse", "cedar"],
} as const;

/**
 * The number of the speaker that a request means: by its id, its name or its number. OpenAI's
 * names mean the speaker with that name, else one of the same gender, always the same one.
 *
 * @param voice empty: the first speaker
 * @returns undefined if there is no such speaker
 */
export function speakerNumber(speakers: readonly Speaker[], voice: string): number | undefined {
  const wanted = voice.trim().toLowerCase();
  if (wanted === "") return 0;
  const byId = speakers.findIndex(({ id }) => id.toLowerCase() === wanted);
  if (byId >= 0) return byId;
  const byName = speakers.findIndex(({ name }) => name.toLowerCase() === wanted);
  if (byName >= 0) return byName;
  if (/^\d{1,5}$/.test(wanted)) return Number(wanted) in speakers ? Number(wanted) : undefined;
  return likeOpenAi(speakers, wanted);
}

function likeOpenAi(speakers: readonly Speaker[], wanted: string): number | undefined {
  for (const [gender, names] of Object.entries(OPENAI_VOICES)) {
    const place = (names as readonly string[]).indexOf(wanted);
    if (place < 0) continue;
    const numbers = [...speakers.keys()];
    const same = numbers.filter((number) => speakers[number]?.gender === gender);
    const alike = same.length > 0 ? same : numbers;
    return alike[place % alike.length];
  }
  return undefined;
}
