import type { OfflineTtsConfig } from "sherpa-onnx-node";
import type { LocalTtsModel } from "../domain/model.ts";

/** The part of sherpa-onnx's settings that differs between kinds of voice: where its files are. */
export function voiceFiles(
  model: LocalTtsModel,
): Pick<OfflineTtsConfig, "ruleFsts"> & { model: Partial<OfflineTtsConfig["model"]> } {
  switch (model.kind) {
    case "piper":
      return {
        model: { vits: { model: model.model, tokens: model.tokens, dataDir: model.phonemes } },
      };
    case "kokoro": {
      const { voices, tokens, phonemes: dataDir, lexicons } = model;
      // Each request names its language. Without one here, a multilingual model ends the process.
      const kokoro = { model: model.model, voices, tokens, dataDir, lang: "en-us" };
      return { model: { kokoro: { ...kokoro, lexicon: list(lexicons) } } };
    }
    case "kitten": {
      const { voices, tokens, phonemes: dataDir } = model;
      return { model: { kitten: { model: model.model, voices, tokens, dataDir } } };
    }
    case "matcha": {
      const { acousticModel, vocoder, tokens, phonemes: dataDir = "", lexicons, rules } = model;
      const matcha = { acousticModel, vocoder, tokens, dataDir, lexicon: list(lexicons) };
      return { model: { matcha }, ruleFsts: list(rules) };
    }
    case "supertonic": {
      const { settings: ttsJson, voices: voiceStyle, unicodeIndexer, vocoder } = model;
      const { durationPredictor, textEncoder, vectorEstimator } = model;
      const networks = { durationPredictor, textEncoder, vectorEstimator, vocoder };
      return { model: { supertonic: { ...networks, ttsJson, unicodeIndexer, voiceStyle } } };
    }
    case "pocket": {
      const { vocabulary: vocabJson, tokenScores: tokenScoresJson, textConditioner } = model;
      const { lmFlow, lmMain, encoder, decoder } = model;
      const networks = { lmFlow, lmMain, encoder, decoder, textConditioner };
      return { model: { pocket: { ...networks, vocabJson, tokenScoresJson } } };
    }
    case "zipvoice": {
      const { encoder, decoder, vocoder, tokens, phonemes: dataDir, lexicons } = model;
      const files = { encoder, decoder, vocoder, tokens, dataDir };
      return { model: { zipvoice: { ...files, lexicon: list(lexicons) } } };
    }
  }
}

function list(paths: readonly string[] | undefined): string {
  return paths?.join(",") ?? "";
}
