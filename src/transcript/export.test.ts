import { describe, expect, test } from "bun:test";
import type { Segment } from "../domain/transcript.ts";
import { EXPORT_FORMATS, type ExportFormat, exportTranscript } from "./export.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const ID = "0190a6a0-0000-7000-8000-000000000001";
const SESSION = {
  id: ID,
  room: "den",
  identity: "ann-1",
  name: "Ann",
  started_at: START,
  ended_at: START + 60_000,
  end_reason: "stopped",
} as const;

function segment(seq: number, text: string, more: Partial<Segment> = {}): Segment {
  return {
    seq,
    segment_id: `s${seq}`,
    role: "user",
    identity: "ann-1",
    text,
    started_at: START + seq * 1000,
    ended_at: START + seq * 1000 + 500,
    interrupted: false,
    language: null,
    ...more,
  };
}

const TALK = [
  segment(1, "Hello, who are you?"),
  segment(2, "I am Parley, and", { role: "agent", identity: "agent-1", interrupted: true }),
];

function body(format: ExportFormat, segments: Segment[], session = {}): string {
  return exportTranscript({ ...SESSION, ...session }, segments, format).body;
}

describe("an ordinary conversation", () => {
  test("txt", () => {
    expect(body("txt", TALK)).toBe(
      "den, 2026-01-02T03:04:05.000Z\n\n" +
        "[00:00:01] Ann: Hello, who are you?\n" +
        "[00:00:02] Agent: I am Parley, and (interrupted)\n",
    );
  });

  test("md", () => {
    expect(body("md", TALK)).toBe(
      "# den\n\n2026-01-02T03:04:05.000Z\n\n" +
        "**Ann** 00:00:01\n\nHello, who are you?\n\n" +
        "**Agent** 00:00:02\n\nI am Parley, and *(interrupted)*\n",
    );
  });

  test("vtt", () => {
    expect(body("vtt", TALK)).toBe(
      "WEBVTT\n\n00:00:01.000 --> 00:00:01.500\n<v Ann>Hello, who are you?\n\n" +
        "00:00:02.000 --> 00:00:02.500\n<v Agent>I am Parley, and\n",
    );
  });

  test("srt", () => {
    expect(body("srt", TALK)).toBe(
      "1\n00:00:01,000 --> 00:00:01,500\nAnn: Hello, who are you?\n\n" +
        "2\n00:00:02,000 --> 00:00:02,500\nAgent: I am Parley, and\n",
    );
  });

  test("csv", () => {
    expect(body("csv", TALK)).toBe(
      '\ufeff"seq","start","end","role","identity","text","interrupted"\r\n' +
        '"1","00:00:01.000","00:00:01.500","user","ann-1","Hello, who are you?","false"\r\n' +
        '"2","00:00:02.000","00:00:02.500","agent","agent-1","I am Parley, and","true"\r\n',
    );
  });

  test("json", () => {
    expect(JSON.parse(body("json", TALK))).toMatchObject({
      session_id: ID,
      started_at: "2026-01-02T03:04:05.000Z",
      ended_at: "2026-01-02T03:05:05.000Z",
      segments: [
        { seq: 1, text: "Hello, who are you?", start_ms: 1000, end_ms: 1500 },
        { seq: 2, role: "agent", interrupted: true },
      ],
    });
  });

  test("only csv begins with a byte order mark, as one of UTF-8, once", () => {
    const marked = EXPORT_FORMATS.filter((format) => body(format, TALK).includes("\ufeff"));
    expect(marked).toEqual(["csv"]);
    const bytes = Buffer.from(body("csv", [segment(1, "Grüße, 你好, 😀")]));
    expect(bytes.subarray(0, 4).toString("hex")).toBe("efbbbf22");
    expect(bytes.lastIndexOf(Buffer.from("\ufeff"))).toBe(0);
    expect(bytes.toString()).toContain('"Grüße, 你好, 😀"');
  });

  test("json tells the language that was heard, and null where it is not known", () => {
    const heard = [segment(1, "Hallo", { language: "de" }), segment(2, "Hi")];
    const { segments } = JSON.parse(body("json", heard));
    expect(segments).toMatchObject([{ language: "de" }, { language: null }]);
  });

  test("names and types are safe in a header", () => {
    for (const format of EXPORT_FORMATS) {
      const file = exportTranscript({ ...SESSION, id: 'x"\r\n/../é' }, TALK, format);
      expect(file.filename).toBe(`parley-2026-01-02-x.${format}`);
      expect(file.contentType).toMatch(/^[a-z]+\/[a-z-]+(; [a-z0-9=-]+)*$/);
    }
  });

  test("no segments, odd times and many hours", () => {
    for (const format of EXPORT_FORMATS) expect(body(format, [])).not.toContain("undefined");
    const early = segment(1, "early", { started_at: START - 5000, ended_at: START - 5000 });
    expect(body("vtt", [early])).toContain("00:00:00.000 --> 00:00:00.001");
    const late = { started_at: START + 360_000_000, ended_at: START + 360_000_001 };
    expect(body("srt", [segment(1, "late", late)])).toContain("100:00:00,000 --> 100:00:00,001");
    const swapped = [segment(1, "second", { started_at: START + 9000 }), segment(2, "first")];
    expect(body("vtt", swapped).indexOf("first")).toBeLessThan(
      body("vtt", swapped).indexOf("second"),
    );
  });
});

const HOSTILE =
  "<script>alert(1)</script> --> <i>x</i>\r\n\r\n00:00:09.000 --> 00:00:10.000\n[00:00:09] Agent: " +
  "forged\u2028line\u0085next\u0000\u001b[2J\u202eevil\u2066 {\\an8}&lt; \ud800";

const FILES = Object.fromEntries(
  EXPORT_FORMATS.map((format) => {
    const hostile = [segment(1, HOSTILE, { identity: HOSTILE })];
    return [format, body(format, hostile, { name: HOSTILE, room: HOSTILE })];
  }),
);

describe("hostile words and names stay harmless", () => {
  test("no control, bidirectional or broken character but line ends", () => {
    for (const [format, text] of Object.entries(FILES)) {
      if (format === "json") continue;
      expect(text.replace(/\r?\n/g, "")).not.toMatch(/[\p{Cc}\u2028\u202a-\u202e\u2066-\u2069]/u);
      expect(text.isWellFormed()).toBe(true);
    }
  });

  test("txt: one line a segment", () => {
    expect(FILES["txt"]?.trim().split("\n")).toHaveLength(3);
  });

  test("vtt and srt: one cue, one arrow, no injected tag", () => {
    for (const text of [FILES["vtt"], FILES["srt"]]) {
      expect(text?.match(/-->/g)).toHaveLength(1);
      expect(text?.replace(/^<v /m, "")).not.toMatch(/<[a-z/]/);
    }
    expect(FILES["srt"]?.trim().split("\n")).toHaveLength(3);
    expect(FILES["srt"]).not.toContain("{");
    expect(FILES["vtt"]).toContain("&amp;lt;");
    expect(FILES["vtt"]?.trim().split("\n")).toHaveLength(4);
  });

  test("md: every construct is escaped", () => {
    const lines = [
      "# h",
      "- l",
      "+ l",
      "1. l",
      "2) l",
      "> q",
      "| t |",
      "![i](u)",
      "[l](u)",
      "**b**",
    ];
    lines.push("`c`", "~~s~~", "<b>", "&amp;", "---", "===", "\\", "https://evil.example", "$x$");
    const text = body(
      "md",
      lines.map((line, index) => segment(index + 1, line)),
    );
    const html = Bun.markdown.html(text);
    expect(html.match(/<(\/?)(?!\/?(h1|p|strong)\b)[a-z]+/g)).toBeNull();
    const shown = html
      .replace(/<[^>]*>/g, "")
      .replace(/&lt;/g, "<")
      .replace(/&gt;/g, ">");
    for (const line of lines) expect(shown.replace(/&amp;/g, "&")).toContain(line);
  });

  test("csv: formulas become text, quotes stay inside their field", () => {
    const texts = [
      "=1+1",
      "+1",
      "-1",
      "@SUM(A1)",
      "\t=1",
      " =1",
      "＝1",
      '","=1',
      'a "b", c',
      "|x",
      "%x",
    ];
    const rows = body(
      "csv",
      texts.map((text, index) => segment(index + 1, text)),
    ).split("\r\n");
    expect(rows).toHaveLength(texts.length + 2);
    for (const row of rows.slice(1, -1)) {
      const fields = [...row.matchAll(/"((?:[^"]|"")*)"(?:,|$)/g)].map((match) => match[1] ?? "");
      expect(fields).toHaveLength(7);
      expect(fields[5]).not.toMatch(/^\s*[=+\-@＝|%]/);
    }
    expect(rows[9]).toContain('"a ""b"", c"');
  });
});

describe("any text", () => {
  test("json: is kept unchanged", () => {
    expect(JSON.parse(FILES["json"] ?? "").segments[0].text).toBe(HOSTILE);
  });

  test("a word of 1 MB is written quickly", () => {
    for (const unit of ["w", "<", "-->", "=", "\\", "\u202e", " \n", "&", "😀", "*_"]) {
      const long = [segment(1, unit.repeat(1_000_000 / unit.length))];
      const begun = performance.now();
      for (const format of EXPORT_FORMATS) body(format, long);
      expect(performance.now() - begun).toBeLessThan(2000);
    }
  });
});
