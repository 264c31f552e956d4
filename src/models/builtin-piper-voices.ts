import type { Catalog, CatalogModel } from "../domain/catalog.ts";
import { type PhonemeLanguage, phonemes } from "./builtin-phonemes.ts";
import { CC_BY, huggingFace, MIB } from "./builtin-sources.ts";

const REPOSITORY = "rhasspy/piper-voices";
const REVISION = "c10ece1aade47bb51c153c893d14e5bf8e5b7117";

interface PiperVoice {
  /** The language of the recordings. */
  tag: string;
  speaker: string;
  name: string;
  about: string;
  /** Of the recordings: CC0 or public domain where nothing else is said. */
  terms?: Partial<Pick<CatalogModel, "licence" | "licenceUrl" | "attribution">>;
  phonemes: PhonemeLanguage;
  /** Size and SHA-256 of the network, and of its settings. */
  network: string;
  settings: string;
}

const VOICES: readonly PiperVoice[] = [
  {
    tag: "en-US",
    speaker: "ljspeech",
    name: "LJ Speech",
    about: "American, female; fast on any machine.",
    phonemes: "en",
    network: "63531379 6f52a751e2349abe7a76735eb09dc1875298c77ea2342ffd2fef79ff81b87f22",
    settings: "4972 141d612cc0a95ed7efc1ca936b845c2364967f2e9217c5dbfcf69fc4d6c65860",
  },
  {
    tag: "de-DE",
    speaker: "thorsten",
    name: "Thorsten",
    about: "Male; fast on any machine.",
    phonemes: "de",
    network: "63201294 7e64762d8e5118bb578f2eea6207e1a35a8e0c30595010b666f983fc87bb7819",
    settings: "4819 974adee790533adb273a1ac88f49027d2a1b8f0f2cf4905954a4791e79264e85",
  },
  {
    tag: "es-ES",
    speaker: "davefx",
    name: "DaveFX",
    about: "Male; fast on any machine.",
    phonemes: "es",
    network: "63201294 6658b03b1a6c316ee4c265a9896abc1393353c2d9e1bca7d66c2c442e222a917",
    settings: "4817 0e0dda87c732f6f38771ff274a6380d9252f327dca77aa2963d5fbdf9ec54842",
  },
  {
    tag: "fr-FR",
    speaker: "siwis",
    name: "Siwis",
    about: "Female; fast on any machine.",
    terms: {
      ...CC_BY,
      attribution: "SIWIS French Speech Synthesis Database, University of Edinburgh",
    },
    phonemes: "fr",
    network: "63201294 641d1ab097da2b81128c076810edb052b385decc8be3381814802a64a73baf99",
    settings: "4875 39479916c2db192b5ac9764daddd0c744d83e023ad890c6976c0633ae4df8959",
  },
  {
    tag: "it-IT",
    speaker: "paola",
    name: "Paola",
    about: "Female; fast on any machine.",
    phonemes: "it",
    network: "63511038 6fc918b5a0ea6137382833dddfa567bffbe6a5060c02043c87192ee59c04210c",
    settings: "7099 aea19c0a7fce29fbc359b93f10e7902854401e4c95ae2ea328ae516b15d296cf",
  },
  {
    tag: "nl-BE",
    speaker: "nathalie",
    name: "Nathalie",
    about: "Flemish, female; fast on any machine.",
    phonemes: "nl",
    network: "63201294 49cf48023861f9fd42e13a8632f068fee67d1ce244a6ee38f29595afbf0a6be4",
    settings: "4879 4704af2736022e910a3f32672480d5530dd39da5c2bcc079f315f604166ff0de",
  },
  {
    tag: "pl-PL",
    speaker: "gosia",
    name: "Gosia",
    about: "Female; fast on any machine.",
    phonemes: "pl",
    network: "63201294 38f66464240ed74f186e6b7dc13c6e3b22e023426299f25c2b3cc9dfa9373fbc",
    settings: "4814 1aefb31a9d53ffe44a8163ff73ec833acb7a6253848f6bb0403d8a66f9c7510d",
  },
  {
    tag: "pt-BR",
    speaker: "faber",
    name: "Faber",
    about: "Brazilian, male; fast on any machine.",
    phonemes: "pt",
    network: "63201294 858555e3a064209c57088fe6bd70c4c3dc54d03eaa00c45d5ecaf43a33f95aa7",
    settings: "4855 7e694de195ae3fc36dd732c445eb04fb49b649854893cb5506b978f0d50a1d6f",
  },
  {
    tag: "ro-RO",
    speaker: "mihai",
    name: "Mihai",
    about: "Male; fast on any machine.",
    phonemes: "ro",
    network: "63201294 e0608bbbd53c80267c09ece681b09f5199f54e792356684c8073738e5f15d29f",
    settings: "4877 8cc0c9f077dc0cec3c25a6a055ec8046db8e40a2510591582f2c9c869f4bc47e",
  },
  {
    tag: "ru-RU",
    speaker: "dmitri",
    name: "Dmitri",
    about: "Male; fast on any machine.",
    phonemes: "ru",
    network: "63201294 f073356ebc4bd0f80c5af58df2953a5988bd5bdab1eb38635ce960b071fbefcb",
    settings: "4824 667ef3117bc642c2892dff7690d8bdc8ca4228aeaa783b2dc1416df632855e0d",
  },
  {
    tag: "sv-SE",
    speaker: "nst",
    name: "NST",
    about: "Male; fast on any machine.",
    phonemes: "sv",
    network: "63104526 df011f56825a59dd1efc080c38a65a1ef70407e60f63050e9246f43a3d7e471e",
    settings: "4157 d45dd74cbb4eca58694bf04a97e243044092476f28a55ae26424f0653086980a",
  },
  {
    tag: "vi-VN",
    speaker: "vais1000",
    name: "VAIS",
    about: "Female; fast on any machine.",
    terms: { ...CC_BY, attribution: "VAIS-1000 Vietnamese speech corpus" },
    phonemes: "vi",
    network: "63201294 ec7c89e2c85f4d1edc24b6120c18aaf1bda614f06b511567eb9c7c0de15e2dab",
    settings: "4860 fafb9da1354ed4b77c31af228ed41fb41cd825c14cffa105454b25e6ae751ee0",
  },
];

/** Voices of Piper, as their project publishes them: small, fast, one language each. */
export const PIPER_VOICES: Catalog = VOICES.map(piperVoice);

function piperVoice(voice: PiperVoice): CatalogModel {
  const { tag, speaker, name, about, terms, network, settings } = voice;
  const [language = tag] = tag.split("-");
  const locale = tag.replace("-", "_");
  const folder = `${language}/${locale}/${speaker}/medium`;
  const file = `${folder}/${locale}-${speaker}-medium.onnx`;
  const raw = `https://huggingface.co/${REPOSITORY}/resolve/${REVISION}/${folder}`;
  const recordings = terms?.licence ?? "in the public domain";
  return {
    id: `piper-${tag.toLowerCase()}-${speaker}-medium`,
    stage: "tts",
    kind: "piper",
    size: "small",
    ...(tag === "en-US" ? { starter: true } : {}),
    name: `Piper ${name}`,
    about,
    languages: [tag],
    licence: `MIT; recordings ${recordings}; espeak-ng data GPL-3.0`,
    licenceUrl: `${raw}/MODEL_CARD`,
    ...(terms?.attribution === undefined ? {} : { attribution: terms.attribution }),
    memory: 250 * MIB,
    voices: [{ id: "0", name, language: tag, sample: `${raw}/samples/speaker_0.mp3` }],
    files: [
      ...huggingFace(REPOSITORY, REVISION, `${network} ${file}\n${settings} ${file}.json`).map(
        (one) => ({ ...one, path: one.path.slice(folder.length + 1) }),
      ),
      ...phonemes(voice.phonemes),
    ],
  };
}
