import type { Stage } from "../domain/stage.ts";
import type { Figures } from "./measurements.ts";

/** How well a model suits a conversation on a machine. */
export interface Verdict {
  grade: "good" | "usable" | "too slow" | "unknown";
  /** A sentence that says what a person would notice. */
  words: string;
}

/** A spoken word is about 1.3 tokens, and a voice says about 2.5 words a second. */
const SPOKEN_TOKENS_PER_SECOND = 3.5;
/** What a language model reads of each turn: the person's words, and what was not read before. */
const TURN_TOKENS = 30;
/** The voice starts with the first sentence, which is about this long. */
const SENTENCE_TOKENS = 14;
const INSTRUCTION_TOKENS = 300;
/** An utterance is transcribed as a whole, in ms. */
const UTTERANCE_MS = 3000;
/** The silence before a turn is transcribed, and before a sentence is taken for the end of it, in ms. */
const PAUSE_MS = 200;
const END_OF_TURN_MS = 300;

/** @param stage what the model does @param figures measured or estimated */
export function verdictOn(stage: Stage, figures: Figures): Verdict {
  const { grade, finding, advice = "." } = judgementOn(stage, figures);
  return { grade, words: `${finding}${advice}` };
}

/** What a person would notice, in a sentence without advice; of the same model and figures. */
export function findingOn(stage: Stage, figures: Figures): string {
  return `${judgementOn(stage, figures).finding}.`;
}

interface Judgement {
  grade: Verdict["grade"];
  /** Without the full stop. */
  finding: string;
  /** What to do, with the mark before it. */
  advice?: string;
}

function judgementOn(stage: Stage, figures: Figures): Judgement {
  if (stage === "llm") return ofLanguageModel(figures);
  const { realTimeFactor } = figures;
  if (realTimeFactor === undefined) return UNKNOWN;
  return stage === "tts" ? ofVoice(realTimeFactor) : ofRecogniser(realTimeFactor);
}

const UNKNOWN: Judgement = { grade: "unknown", finding: "It has not been measured" };

function ofLanguageModel(figures: Figures): Judgement {
  const { promptTokensPerSecond: reads, generationTokensPerSecond: writes } = figures;
  if (reads === undefined || writes === undefined) return UNKNOWN;
  if (writes < SPOKEN_TOKENS_PER_SECOND) {
    return {
      grade: "too slow",
      finding: "It writes more slowly than a voice speaks",
      advice: ": choose a smaller one.",
    };
  }
  const first = answerMs(figures);
  const instructions = (1000 * INSTRUCTION_TOKENS) / reads;
  const answers = `It answers after ${seconds(first)}`;
  const finding = `${answers}; instructions of ${INSTRUCTION_TOKENS} tokens take ${seconds(instructions)} once`;
  if (first < 1500 && writes >= 2 * SPOKEN_TOKENS_PER_SECOND) return { grade: "good", finding };
  if (first < 4000) return { grade: "usable", finding };
  return { grade: "too slow", finding: answers, advice: ": choose a smaller one." };
}

function ofVoice(factor: number): Judgement {
  if (factor < 0.5) return { grade: "good", finding: "It speaks without pauses" };
  if (factor < 0.9) {
    return { grade: "usable", finding: "It speaks without pauses while nothing else is computed" };
  }
  const finding = "It speaks with pauses";
  return { grade: "too slow", finding, advice: ": choose a smaller voice." };
}

function ofRecogniser(factor: number): Judgement {
  const finding = `It understands ${UTTERANCE_MS / 1000} seconds of speech in ${seconds(factor * UTTERANCE_MS)}`;
  if (factor < 0.25) return { grade: "good", finding };
  if (factor < 0.7) return { grade: "usable", finding };
  return { grade: "too slow", finding, advice: ". Choose a smaller one." };
}

/** From the question to the end of the first sentence, in ms. */
function answerMs({ promptTokensPerSecond, generationTokensPerSecond }: Figures): number {
  const reading = TURN_TOKENS / (promptTokensPerSecond ?? Number.NaN);
  const writing = SENTENCE_TOKENS / (generationTokensPerSecond ?? Number.NaN);
  return 1000 * (reading + writing);
}

/**
 * From the end of a person's words to the agent's first sound, with one model of each stage and one
 * conversation, in ms; undefined where a figure is missing. The stages work while it is still waited
 * for whether the person goes on.
 */
export function voiceToVoiceMs(figures: Readonly<Record<Stage, Figures | undefined>>) {
  const hearing = figures.stt?.realTimeFactor;
  const firstSound = figures.tts?.firstSoundMs;
  const answer = answerMs(figures.llm ?? {});
  if (hearing === undefined || firstSound === undefined || Number.isNaN(answer)) return undefined;
  return Math.max(END_OF_TURN_MS, PAUSE_MS + hearing * UTTERANCE_MS + answer + firstSound);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
