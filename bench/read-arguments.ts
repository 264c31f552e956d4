import { parseArgs } from "node:util";
import { SHAPES } from "./random-models/shapes.ts";

const SECTIONS = ["history", "models"] as const;
const USAGE = `usage: npm run bench -- [TURNS]
       npm run bench -- history
       npm run bench -- models [ID...] [--long]

TURNS is a whole number from 1 to 1000. ID is one of ${Object.keys(SHAPES).join(", ")}.
`;

/** What is to be measured. Ends the process with a message for arguments that mean nothing. */
export function readArguments(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { long: { type: "boolean", default: false } },
    });
    const [first = "16", ...ids] = positionals;
    const section = SECTIONS.find((name) => name === first);
    const turns = section ? 16 : wholeNumber(first);
    if (ids.length > 0 && section !== "models") throw new Error(`${ids[0]} is one too many`);
    const unknown = ids.find((id) => SHAPES[id] === undefined);
    if (unknown !== undefined) throw new Error(`there is no model ${unknown} here`);
    return { section, turns, ids, isLong: values.long };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,2}$|^1000$/.test(text)) return Number(text);
  throw new Error(`${text} is no number of turns`);
}
