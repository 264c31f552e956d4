import { describe, expect, test } from "bun:test";
import { SpokenText } from "./spoken-text.ts";

/** All that is spoken of an English answer. */
function spoken(text: string): string[] {
  const answer = new SpokenText("en");
  return [...answer.push(text), ...answer.end()];
}

const CASES: [what: string, written: string, said: string[]][] = [
  ["bold and italic", "That is **very** *nice*, ***really***.", ["That is very nice, really."]],
  ["underscores", "It is _so_ __good__.", ["It is so good."]],
  ["struck text", "It costs ~~much~~ little.", ["It costs much little."]],
  ["bold over sentences", "**One is here. Two is there.**", ["One is here.", "Two is there."]],
  ["emphasis in a word of Chinese", "这是*重要*的。", ["这是重要的。"]],
  [
    "names with underscores",
    "Call read_file_now or MAX_SIZE.",
    ["Call read_file_now or MAX_SIZE."],
  ],
  ["a star that multiplies", "Take 3 * 4 or 3*4.", ["Take 3 * 4 or 3*4."]],
  ["headings", "# Title\n## Part two ##\nText.", ["Title", "Part two", "Text."]],
  ["a heading with a line under it", "Title\n=====\n\nText.", ["Title", "Text."]],
  ["bullets", "- Apples\n* Pears\n+ Plums\n• Figs", ["Apples", "Pears", "Plums", "Figs"]],
  ["numbered items", "1. Boil it.\n2. Drink it.", ["1: Boil it.", "2: Drink it."]],
  ["nested items", "- One\n  - Two\n    - Three", ["One", "Two", "Three"]],
  ["boxes", "- [ ] Buy\n- [x] Sell", ["Buy", "Sell"]],
  ["quotes", "> He said so.\n> > And she.", ["He said so.", "And she."]],
  ["rules", "One.\n\n---\n\nTwo.\n***\nThree.\n* * *", ["One.", "Two.", "Three."]],
  ["a table", "|A|B|\n|:--|--:|\n|c|d|\n| e | |", ["A, B", "c, d", "e"]],
  ["a table without outer bars", "Name | Age\n--- | ---\nAda | 36\n", ["Name, Age", "Ada, 36"]],
  ["a link", 'See [the *guide*](https://e.org/x_(y)?a=1 "Title") now.', ["See the guide now."]],
  ["a link by reference", "See [it][1].\n\n[1]: https://example.org/x", ["See it."]],
  [
    "a link that is its address",
    "At [example.org](https://example.org/a).",
    ["At example dot org."],
  ],
  ["an image", "![A red boat](boat.png) sails.", ["A red boat sails."]],
  ["an image without words", "Look. ![](a.png)", ["Look."]],
  ["a web address", "See https://www.example.org:80/a/b?c=d#e.", ["See example dot org."]],
  ["an address in brackets", "Go (https://example.org/a) on.", ["Go (example dot org) on."]],
  ["an address in angles", "Go to <https://example.org/a>.", ["Go to example dot org."]],
  [
    "an address without protocol",
    "Go to www.example.co.uk/a now.",
    ["Go to example dot co dot uk now."],
  ],
  ["a bare host", "Go to example.com, please.", ["Go to example dot com, please."]],
  ["an e-mail address", "Write to ada.b@example.org.", ["Write to ada dot b at example dot org."]],
  ["a link to an e-mail address", "[Write](mailto:a@b.org)!", ["Write!"]],
  [
    "a file",
    "Open src/agent/main.ts or ~/notes.",
    ["Open src slash agent slash main dot ts or notes."],
  ],
  ["no file", "He and/or she, 24/7.", ["He and/or she, 24/7."]],
  ["inline code that is a word", "Run `bun install` now.", ["Run bun install now."]],
  ["inline code that is none", "Use `a => { b }` now.", ["Use now."]],
  ["a block of code", "So:\n```js\nlet a;\n```\nDone.", ["So:", "Code omitted.", "Done."]],
  ["a block that never closes", "So:\n```\nlet a;", ["So:", "Code omitted."]],
  ["two blocks", "~~~\na;\n~~~\nThen:\n```\nb;\n```", ["Code omitted.", "Then:"]],
  ["a block in an item", "- So:\n  ```\n  a;\n  ```\n- Done", ["So:", "Code omitted.", "Done"]],
  ["a fence within a fence", "````\n```\na\n```\n````\nEnd.", ["Code omitted.", "End."]],
  ["indented code", "So:\n\n    let a = 1;\n    b();\n\nDone.", ["So:", "Code omitted.", "Done."]],
  ["an indented paragraph", "- One\n\n    And more.\n", ["One", "And more."]],
  ["line breaks", "One.<br>Two<br/>three<BR />four.", ["One.", "Two", "three", "four."]],
  ["tags", 'This is <b>very</b> <a href="x. y">good</a>.', ["This is very good."]],
  ["comments", "One.<!-- no. Not this. --> Two.", ["One.", "Two."]],
  ["entities", "A &amp; B &lt; C&nbsp;D &#65;&#x42;.", ["A and B < C D AB."]],
  ["signs that are no tags", "If 3 < 4 and 5 > 4, yes.", ["If 3 < 4 and 5 > 4, yes."]],
  ["a formula", "It is \\(x^2\\) or $y^3$.", ["It is x squared or y cubed."]],
  ["a fraction", "So \\[\\frac{a}{b} = c\\] holds.", ["So a over b equals c holds."]],
  ["a formula over lines", "So\n$$\nE = m c^2\n$$\nholds.", ["So", "E equals m c squared holds."]],
  ["a complex formula", "See $\\int_0^1 f(x)\\,dx$ now.", ["See formula omitted now."]],
  ["prices", "From $5 to $6.", ["From five dollars to six dollars."]],
  ["emoji", "Hi 👋🏽! 👨‍👩‍👧 🇩🇪 ✅ ❤️ Yes 1️⃣.", ["Hi!", "Yes 1."]],
  ["only emoji", "🎉🎉 👍🏿\n❤️", []],
  ["only marks", "… — !!! ** ``", []],
  ["citations", "Oslo is big【4†source】 and old [1][2, 3].", ["Oslo is big and old."]],
  ["footnotes", "It is so.[^1] Yes.\n\n[^1]: The note.", ["It is so.", "Yes.", "The note."]],
  ["repeated marks", "What?!?! No!!! Well.....", ["What?", "No!", "Well…"]],
  ["escaped marks", "Five \\* six \\_ seven \\# eight.", ["Five * six _ seven # eight."]],
  ["emoji by name, and faces", "Hello :wave: :+1: — fine ;-) and <3.", ["Hello — fine and."]],
  [
    "marks of other dialects",
    "It is ==so==, H~2~O, 10^8 and x^2^.",
    ["It is so, H2O, 10 to the power of 8 and x squared."],
  ],
  [
    "a table in HTML",
    "<table><tr><th>A</th><th>B</th></tr><tr><td>c</td></tr></table>",
    ["A, B", "c"],
  ],
  [
    "an address in Japanese",
    "詳しくはhttps://example.jp/a?b=cをご覧ください。",
    ["詳しくはexample ドット jpをご覧ください。"],
  ],
  ["no space after a mark", "Really!Yes it is!", ["Really!", "Yes it is!"]],
  ["only a web address", "https://example.org/a", ["example dot org"]],
  [
    "a formula with an environment",
    "So \\begin{align}a &= b\\end{align} and \\(f(x) = \\pm x\\).",
    ["So formula omitted and f(x) equals plus minus x."],
  ],
  [
    "an abbreviation in brackets",
    "It is big (pop. 2,000). Yes.",
    ["It is big (pop. two thousand).", "Yes."],
  ],
  ["arrows", "Oslo → Bergen.", ["Oslo, Bergen."]],
  ["Windows line ends", "One.\r\n- Two\r\n- Three", ["One.", "Two", "Three"]],
  ["a paragraph over lines", "One goes\non here.\nTwo.", ["One goes on here.", "Two."]],
];

describe("markup of an answer is turned into words", () => {
  test.each(CASES)("%s", (_what, written, said) => {
    expect(spoken(written)).toEqual(said);
  });
});
