import type { LocalChoice, StageTest } from "../domain/provider.ts";
import { speakerNumber } from "../domain/speaker.ts";
import { type Stage, sttModelFor } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { untilAborted } from "../lib/deadline.ts";
import { type Audio, readWav, wav } from "../lib/wav.ts";
import type { ProviderCheck } from "./provider-check.ts";
import type { ProviderChoice, StageLease } from "./provider-choice.ts";
import { describeProviderError } from "./provider-errors.ts";
import { sourceOf } from "./provider-source.ts";
import { ask, speak, transcribe } from "./stage-requests.ts";

const TEST_SENTENCE = "Hello, this is Parley. Can you hear me well?";
/** For voices of other languages. */
const SENTENCES: Readonly<Record<string, string>> = {
  ar: "مرحبا، هذا بارلي. هل تسمعني جيدا؟",
  de: "Hallo, hier ist Parley. Hörst du mich gut?",
  es: "Hola, soy Parley. ¿Me oyes bien?",
  fr: "Bonjour, ici Parley. Est-ce que vous m'entendez bien ?",
  hi: "नमस्ते, मैं पार्ले हूँ। क्या आप मुझे सुन सकते हैं?",
  it: "Ciao, sono Parley. Mi senti bene?",
  ja: "こんにちは、パーレイです。よく聞こえますか？",
  ko: "안녕하세요, 팔리입니다. 잘 들리세요?",
  nl: "Hallo, dit is Parley. Hoor je me goed?",
  pl: "Cześć, tu Parley. Dobrze mnie słychać?",
  pt: "Olá, aqui é o Parley. Você me ouve bem?",
  ru: "Здравствуйте, это Парли. Вы меня хорошо слышите?",
  zh: "你好，我是帕利。你听得清楚吗？",
};
const QUESTION = "Say hello in one short sentence.";
/** A person waits, and knows that the first request may load a model. */
const TIMEOUTS = { answerMs: 60_000, idleMs: 20_000 };

type Provider = Parameters<typeof sourceOf>[1];

export interface StageTestOptions {
  providers: Pick<ProviderChoice, "stages">;
  check: Pick<ProviderCheck, "servers" | "answersRealtime">;
}

/**
 * Tries a stage as the next conversation would use it.
 *
 * @param recording for speech recognition, a WAV file; undefined: what the voice says
 * @param signal of who waits for the result
 * @throws Failure in the words of a conversation's errors, or the signal's reason
 */
export async function testStage(
  { providers, check }: StageTestOptions,
  stage: Stage,
  recording: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<StageTest> {
  const limits = { ...TIMEOUTS, signal };
  using lease = providers.stages();
  await untilAborted(signal, lease.ready());
  const settled = async <S extends Stage>(one: S): Promise<StageLease[S]> =>
    lease[one].isEngine ? lease[one] : check.servers.settle<StageLease[S]>(one, lease[one]);
  if (stage === "llm") {
    const llm = await settled("llm");
    const question = { question: QUESTION, firstWord: false };
    const { text, ...times } = await inWords("llm", llm, ask(llm, question, limits));
    return { stage, ...times, text };
  }
  if (stage === "tts") {
    const tts = await settled("tts");
    const speaking = speak(tts, TEST_SENTENCE, limits);
    const { firstMs, totalMs, audio } = await inWords("tts", tts, speaking);
    const sound = { bytes: wav(audio.pcm, audio.rate), type: "audio/wav" };
    return { stage, firstMs, totalMs, text: TEST_SENTENCE, sound };
  }
  const stt = await settled("stt");
  const speech = recording ? readRecording(recording) : await spoken(await settled("tts"), signal);
  const heard = await inWords(
    "stt",
    stt,
    transcribe({ ...stt, model: sttModelFor(stt, false) }, speech, limits),
  );
  const realtime =
    stt.realtime === "auto"
      ? await check.answersRealtime({ stage: "stt", ...stt }, sttModelFor(stt, true))
      : stt.realtime;
  return { stage, ...heard, realtime };
}

/**
 * Has a speaker of a downloaded voice say a sentence in its language, whatever is chosen.
 *
 * @throws Failure in the words of a conversation's errors, or the signal's reason
 */
export async function listenTo(
  providers: Pick<ProviderChoice, "trial" | "speakers">,
  choice: LocalChoice,
  signal: AbortSignal,
): Promise<StageTest> {
  const speakers = await providers.speakers(choice);
  const { language = "en" } = speakers[speakerNumber(speakers, choice.voice ?? "") ?? 0] ?? {};
  const text = SENTENCES[language.split("-")[0] ?? ""] ?? TEST_SENTENCE;
  using lease = providers.trial(choice);
  await untilAborted(signal, lease.ready());
  const speaking = speak(lease.tts, text, { ...TIMEOUTS, signal });
  const { firstMs, totalMs, audio } = await inWords("tts", lease.tts, speaking);
  const sound = { bytes: wav(audio.pcm, audio.rate), type: "audio/wav" };
  return { stage: "tts", firstMs, totalMs, text, sound };
}

/** The test's sentence as the voice says it. */
async function spoken(tts: StageLease["tts"], signal: AbortSignal): Promise<Audio> {
  return (await inWords("tts", tts, speak(tts, TEST_SENTENCE, { ...TIMEOUTS, signal }))).audio;
}

function readRecording(bytes: Uint8Array): Audio {
  try {
    return readWav(bytes);
  } catch {
    throw new Failure("invalid", "The recording is not a WAV file.");
  }
}

async function inWords<T>(stage: Stage, provider: Provider, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { message } = describeProviderError(stage, error, {
      ...sourceOf(stage, provider),
      hasWorked: false,
    });
    throw new Failure("upstream_failed", message, { cause: error });
  }
}
