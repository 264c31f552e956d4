import { VOCABULARY, type Vocabulary } from "./vocabulary.ts";

/** Formulas in LaTeX's marks. A dollar sign before a digit is a price, unless letters follow. */
const FORMULA =
  /\\\(([\s\S]*?)\\\)|\\\[([\s\S]*?)\\\]|\$\$([\s\S]*?)\$\$|(?<![\\$\p{L}\d])\$(?=[\p{L}\\({]|\d+[\p{L}^_\\ ]*[=^+\\])([^$\n]*[^\s$\\])\$(?![\p{L}\d])/gu;

const GREEK =
  "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|tau|phi|omega|Delta|Sigma|Omega";
/** What a simple formula may hold when its commands are words: the rest would not be understood. */
const SIMPLE = /^[\p{L}\p{M}\p{N}\s.,'()|!+-]*$/u;
const ENVIRONMENT = /\\begin\{([a-z]+\*?)\}[\s\S]*?\\end\{\1\}/g;
const LONGEST_FORMULA = 120;

/**
 * Replaces formulas by words, or by a short remark if they are complex.
 *
 * @param words of the language; English ones if it is unknown
 */
export function readFormulas(text: string, words: Vocabulary = VOCABULARY.en): string {
  return text
    .replace(ENVIRONMENT, ` ${words.formula} `)
    .replace(FORMULA, (_all, ...groups: (string | undefined)[]) => {
      const formula = groups.slice(0, 4).find((group) => group !== undefined) ?? "";
      return ` ${inWords(formula, words) ?? words.formula} `;
    });
}

/** A formula in words; undefined if it is too complex. */
function inWords(formula: string, words: Vocabulary): string | undefined {
  if (formula.length > LONGEST_FORMULA) return undefined;
  const power = (exponent: string) => {
    if (exponent === "2") return ` ${words.squared} `;
    return exponent === "3" ? ` ${words.cubed} ` : ` ${words.power} ${exponent} `;
  };
  const spoken = formula
    .replace(/\\(?:text|mathrm|mathbf|mathit|operatorname)\{([^{}]*)\}/g, " $1 ")
    .replace(/\\(?:left|right|displaystyle|,|;|!|quad|qquad)(?![a-z])/g, " ")
    .replace(/\\sqrt\{([^{}]*)\}/g, ` ${words.root} $1 `)
    .replace(/\^\{([^{}]*)\}/g, (_all, exponent: string) => power(exponent.trim()))
    .replace(/\^([\p{L}\p{N}])/gu, (_all, exponent: string) => power(exponent))
    .replace(/_\{?([\p{L}\p{N}]+)\}?/gu, " $1 ")
    .replace(/\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}/g, ` $1 ${words.over} $2 `)
    .replace(/\\(?:cdot|times|ast)(?![a-z])|[*×·]/g, ` ${words.times} `)
    .replace(/\\(?:div)(?![a-z])|[/÷]/g, ` ${words.over} `)
    .replace(new RegExp(`\\\\(${GREEK})(?![a-z])`, "g"), " $1 ")
    .replace(/\\pm(?![a-z])/g, ` ${words.plus} ${words.minus} `)
    .replace(/\\%/g, "%")
    .replace(/[{}]/g, " ")
    .replace(/[=]/g, ` ${words.equals} `)
    .replace(/\+/g, ` ${words.plus} `)
    .replace(/[-−]/g, ` ${words.minus} `)
    .replace(/\s+/g, " ")
    .trim();
  return SIMPLE.test(spoken) && spoken !== "" ? spoken : undefined;
}
