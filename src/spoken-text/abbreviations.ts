import type { SpokenLanguage } from "./language.ts";

/** Abbreviations and what they stand for. A space may follow each full stop within. */
const ABBREVIATIONS: Readonly<Partial<Record<SpokenLanguage, Readonly<Record<string, string>>>>> = {
  en: {
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
    "vs.": "versus",
    "approx.": "approximately",
    "Dr.": "Doctor",
    "Prof.": "Professor",
    "w/o": "without",
  },
  de: {
    "z.B.": "zum Beispiel",
    "d.h.": "das heißt",
    "u.a.": "unter anderem",
    "o.ä.": "oder ähnlich",
    "i.d.R.": "in der Regel",
    "v.a.": "vor allem",
    "s.o.": "siehe oben",
    "s.u.": "siehe unten",
    "usw.": "und so weiter",
    "bzw.": "beziehungsweise",
    "ca.": "circa",
    "vgl.": "vergleiche",
    "ggf.": "gegebenenfalls",
    "evtl.": "eventuell",
    "inkl.": "inklusive",
    "exkl.": "exklusive",
    "zzgl.": "zuzüglich",
    "bspw.": "beispielsweise",
    "etc.": "et cetera",
    "Dr.": "Doktor",
    "Prof.": "Professor",
    "Nr.": "Nummer",
    "Std.": "Stunden",
    "Mio.": "Millionen",
    "Mrd.": "Milliarden",
  },
  es: {
    "p.ej.": "por ejemplo",
    "etc.": "etcétera",
    "Sr.": "señor",
    "Sra.": "señora",
    "Dr.": "doctor",
    "Dra.": "doctora",
    "Ud.": "usted",
    "Uds.": "ustedes",
    "EE.UU.": "Estados Unidos",
    "n.º": "número",
  },
  fr: {
    "p.ex.": "par exemple",
    "c.-à-d.": "c'est-à-dire",
    "etc.": "et cetera",
    Mme: "Madame",
    Mlle: "Mademoiselle",
    Dr: "Docteur",
    "n°": "numéro",
    "1er": "premier",
    "1re": "première",
    "env.": "environ",
  },
  it: {
    "p.es.": "per esempio",
    "ad es.": "ad esempio",
    "ecc.": "eccetera",
    "Sig.": "signor",
    "Sig.ra": "signora",
    "Dott.": "dottor",
    "n.": "numero",
  },
  pt: {
    "p.ex.": "por exemplo",
    "etc.": "et cetera",
    "Sr.": "senhor",
    "Sra.": "senhora",
    "Dr.": "doutor",
    "Dra.": "doutora",
    "n.º": "número",
  },
  nl: {
    "bijv.": "bijvoorbeeld",
    "d.w.z.": "dat wil zeggen",
    "o.a.": "onder andere",
    "m.b.t.": "met betrekking tot",
    "t.o.v.": "ten opzichte van",
    "enz.": "enzovoort",
    "dhr.": "de heer",
    "mevr.": "mevrouw",
  },
};

/** Speaks the common abbreviations of a language out; the full stop of a sentence stays. */
export function readAbbreviations(text: string, language: SpokenLanguage): string {
  let said = text;
  for (const [short, long] of Object.entries(ABBREVIATIONS[language] ?? {})) {
    said = said.replace(patternOf(short), (all, at: number, whole: string) => {
      const isEnd = at + all.length === whole.trimEnd().length && short.endsWith(".");
      return isEnd ? `${long}.` : long;
    });
  }
  return said;
}

function patternOf(short: string): RegExp {
  const escaped = short.replaceAll(".", "\\.").replace(/\\\.(?=\p{L})/gu, "\\.\\s?");
  return new RegExp(String.raw`(?<![\p{L}\p{N}.])${escaped}(?![\p{L}\p{N}])`, "gu");
}
