import type { Catalog, CatalogModel } from "../domain/catalog.ts";
import { languageName, sameLanguage } from "../domain/language.ts";
import { STAGES, type Stage } from "../domain/stage.ts";
import { formatBytes } from "../lib/words.ts";
import type { Machine } from "./machine.ts";
import { estimated } from "./speed-probe.ts";
import { findingOn, type Verdict, verdictOn } from "./verdict.ts";

export interface Recommended {
  id: string;
  /** Why it was chosen, in a sentence. */
  reason: string;
}

export interface Recommendation {
  /** By stage, without the stages that have no model in the catalogue. */
  models: Partial<Record<Stage, Recommended>>;
  /** What a person should know before a download: that it will not go well here, and what to do. */
  warning: string | undefined;
}

interface Candidate {
  model: CatalogModel;
  verdict: Verdict;
  /** The verdict without advice to choose another model. */
  finding: string;
  memory: number;
}

/** What Parley takes besides the models, with the agent of a conversation, and its margin. */
const RESERVED = 512 * 2 ** 20;
/** The language model decides most about a conversation, so it has the first choice. */
const ORDER: readonly Stage[] = ["llm", "stt", "tts"];
const SIZES = ["small", "medium", "large"] as const;
const GRADES: readonly Verdict["grade"][] = ["good", "usable", "unknown", "too slow"];
const NOUNS = { stt: "recogniser", llm: "language model", tts: "voice" } as const;
const ADVICE = "Use a server such as Ollama on a faster machine, or an OpenAI key.";

/**
 * Chooses a model of each stage for a machine: of those that know the person's language, the largest
 * that is fast enough, as measured or else estimated, and fits into free memory with the others.
 *
 * @param language the person's, as a BCP 47 tag
 */
export function recommend(catalog: Catalog, machine: Machine, language: string): Recommendation {
  const ranked = new Map(
    ORDER.map((stage) => [stage, candidates(catalog, stage, machine, language)]),
  );
  let left = machine.memory - RESERVED;
  const chosen: Candidate[] = [];
  for (const [at, stage] of ORDER.entries()) {
    const later = ORDER.slice(at + 1).reduce((sum, one) => sum + least(ranked.get(one) ?? []), 0);
    const fitting = ranked.get(stage)?.find(({ memory }) => memory <= left - later);
    const pick = fitting ?? smallest(ranked.get(stage) ?? []);
    if (!pick) continue;
    chosen.push(pick);
    left -= pick.memory;
  }
  const entries = chosen.map(({ model, verdict }) => {
    const reason = `${understands(model, language)} ${verdict.words}`;
    return [model.stage, { id: model.id, reason }] as const;
  });
  return {
    models: Object.fromEntries(entries),
    warning: warningOf(chosen, machine, left, language),
  };
}

/** The models of a stage, the best first; those that do not know the language only if none does. */
function candidates(catalog: Catalog, stage: Stage, machine: Machine, language: string) {
  const all = catalog.filter((model) => model.stage === stage);
  const knowing = all.filter((model) => knows(model, language));
  const judged = (knowing.length > 0 ? knowing : all).map((model): Candidate => {
    const measured = machine.measured[model.id];
    const figures = measured ?? estimated(model, machine.speed);
    return {
      model,
      verdict: verdictOn(stage, figures),
      finding: findingOn(stage, figures),
      memory: Math.max(model.memory, measured?.memory ?? 0),
    };
  });
  return judged.toSorted(
    (a, b) => GRADES.indexOf(a.verdict.grade) - GRADES.indexOf(b.verdict.grade) || bySize(a, b),
  );
}

/** Of models that are fast enough the largest first, and of slow ones the smallest. */
function bySize(a: Candidate, b: Candidate): number {
  if (a.verdict.grade !== "good") return a.memory - b.memory;
  return SIZES.indexOf(b.model.size) - SIZES.indexOf(a.model.size);
}

function smallest(list: readonly Candidate[]): Candidate | undefined {
  return list.toSorted((a, b) => a.memory - b.memory)[0];
}

function least(list: readonly Candidate[]): number {
  return smallest(list)?.memory ?? 0;
}

function knows({ languages }: CatalogModel, language: string): boolean {
  return languages.some((one) => sameLanguage(one, language));
}

function understands(model: CatalogModel, language: string): string {
  const name = languageName(language.split("-", 1)[0] ?? language);
  if (knows(model, language)) return `It knows ${name}.`;
  return `No ${NOUNS[model.stage]} in the catalogue knows ${name}.`;
}

function warningOf(
  chosen: readonly Candidate[],
  { memory }: Machine,
  left: number,
  language: string,
): string | undefined {
  if (left < 0) {
    const needed = memory - left;
    return (
      `This machine has ${formatBytes(memory)} of free memory, and even the smallest models need ` +
      `${formatBytes(needed)}. Close other programs, or use another server or an OpenAI key.`
    );
  }
  const slow = STAGES.flatMap((stage) =>
    chosen.filter(({ model, verdict }) => model.stage === stage && verdict.grade === "too slow"),
  );
  const [first] = slow;
  if (first) {
    return `This machine is too slow for a conversation with ${first.model.name}. ${first.finding} ${ADVICE}`;
  }
  const ignorant = chosen.find(({ model }) => !knows(model, language));
  return ignorant && `${understands(ignorant.model, language)} ${ADVICE}`;
}
