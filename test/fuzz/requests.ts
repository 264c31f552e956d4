import fc from "fast-check";
import type { Hono } from "hono";

/** A route of the app: `/session/:id` and the like. */
export interface Route {
  method: string;
  path: string;
}

/** A request as it is sent, byte by byte. */
export interface HttpRequest {
  method: string;
  target: string;
  headers: [name: string, value: string][];
  body: string;
  framing: "length" | "chunked" | "none" | "too short" | "too long";
}

/** Every route of the app, so that a new one is included by itself. */
export function routesOf(app: Hono): Route[] {
  const routes = app.routes.filter(({ method, path }) => method !== "ALL" && path !== "/*");
  return routes.map(({ method, path }) => ({ method, path }));
}

/** Methods that Bun knows, and two that it does not. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
const OTHER_METHODS = ["PROPFIND", "QUERY", "M-SEARCH", "FOO", "get"];
export const UNKNOWN_METHODS: readonly string[] = ["FOO", "get"];

/** Texts that have broken somebody's program. Each character is one byte of the request. */
const odd = fc.oneof(
  fc.constantFrom(
    ...["", " ", "..", "../../etc/passwd", "%2e%2e%2f", "%00", "%", "%zz", "%c0%af", "%ff%fe"],
    ...["%E0%A4%A", "\xff\xfe", "\xc0\xaf", "\x80", "__proto__", "constructor", "null", "NaN"],
    ...["-1", "0", "1e309", "9".repeat(30), "a".repeat(9000), "/".repeat(300), "..\\..\\", "*"],
    ...["'; DROP TABLE sessions; --", "<script>alert(1)</script>", "{{7*7}}", "%0d%0aX: y", "#?&="],
  ),
  fc.string({ maxLength: 40 }),
  fc.string({ maxLength: 40 }).map(encodeURIComponent),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  fc.uuid(),
);

/** Without what would end the line or the head, which Bun answers by itself. */
const inLine = odd.map((text) => text.replace(/[\p{Cc} ]/gu, "_"));
const inHeader = odd.map((text) => text.replace(/\p{Cc}/gu, "_").slice(0, 4000));

function target(route: Route, ids: readonly string[]): fc.Arbitrary<string> {
  const part = fc.oneof(fc.constantFrom(...ids), inLine);
  const path = fc
    .array(part, { minLength: 4, maxLength: 4 })
    .map((parts) => route.path.replace(/:\w+|\*/g, () => parts.pop() ?? ""));
  const names = fc.constantFrom(
    "room",
    "identity",
    "name",
    "after",
    "before",
    "format",
    "v",
    "next",
  );
  const pair = fc.tuple(fc.oneof(names, inLine), inLine).map((both) => both.join("="));
  const query = fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join("&"));
  return fc.oneof(
    { weight: 6, arbitrary: path },
    { weight: 6, arbitrary: fc.tuple(path, query).map((both) => both.join("?")) },
    { weight: 1, arbitrary: path.map((text) => `http://localhost${text}`) },
    { weight: 1, arbitrary: path.map((text) => `/./x/..//${text}`) },
    { weight: 1, arbitrary: inLine },
  );
}

const header = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      ...["Accept", "Accept-Encoding", "Cookie", "Origin", "Referer", "Range", "If-None-Match"],
      ...["If-Modified-Since", "If-Range", "HX-Request", "HX-Target", "X-Request-Id", "Expect"],
      ...["X-Forwarded-Proto", "X-Forwarded-For", "Authorization", "Sec-Fetch-Site", "Upgrade"],
      ...["Content-Encoding", "Content-Type", "Connection", "TE", "Trailer", "X-Odd"],
    ),
    inHeader,
  ),
  fc.constantFrom<[string, string]>(
    ...([
      ["Accept", "text/html"],
      ["Accept", "text/html;q=0, */*"],
      ["HX-Request", "true"],
      ["Accept-Encoding", "gzip, br"],
      ["Content-Encoding", "gzip"],
      ["Origin", "http://localhost"],
      ["Origin", "null"],
      ["Origin", "http://["],
      ["Cookie", "parley=1.x; parley=%; __proto__=x"],
      ["Cookie", "parley=".repeat(500)],
      ["Authorization", "Bearer wrong"],
      ["Authorization", "Basic eDp5"],
      ["Range", "bytes=0-0,-1,5-1"],
      ["If-None-Match", '*, W/"x"'],
      ["If-Modified-Since", "Thu, 99 Foo 2026"],
      ["Sec-Fetch-Site", "cross-site"],
      ["Upgrade", "websocket"],
      ["Upgrade", "h2c"],
      ["Expect", "100-continue"],
    ] satisfies [string, string][]),
  ),
);
const host = fc.oneof(
  { weight: 9, arbitrary: fc.constant("localhost") },
  { weight: 1, arbitrary: inHeader },
);

/** Names of fields that routes read, so that a body often gets past the first check. */
const FIELDS = [
  ...["room", "identity", "name", "system_prompt", "greeting", "voice", "language", "keyterms"],
  ...["mode", "llm_model", "text", "room_name", "participant_identity", "participant_attributes"],
  ...["room_config", "password", "next", "stages", "stage", "model", "use", "base_url", "api_key"],
  ...["form_id", "stt_realtime", "tts_voice", "audio", "__proto__", "constructor"],
];
const GOOD = [
  "r",
  "en",
  "tts",
  "llm",
  "pipeline",
  "http://127.0.0.1:9/v1",
  "none",
  "tiny-llm",
  "hi",
];
const field = fc.oneof(fc.constantFrom(...FIELDS), odd);
const value = fc.oneof(fc.constantFrom(...GOOD), odd, fc.constantFrom("\\ud800", "a\0b", "\u202e"));
const pairs = fc.array(fc.tuple(field, value), { maxLength: 6 });

const jsonBody = fc.oneof(
  fc
    .dictionary(field, fc.oneof(value, fc.jsonValue()), { maxKeys: 6 })
    .map((all) => JSON.stringify(all)),
  fc.json(),
  pairs.map((all) => `{${all.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join()}}`),
  fc.constantFrom(
    ...["", "{", "null", "[]", '"x"', "1e999", `{"room":1${"0".repeat(400)}}`, "\0", "\xff\xfe{}"],
    ...["[".repeat(50_000), '{"a":'.repeat(20_000), `{"room":"${"\\u0000".repeat(9)}"}`],
    ...[
      '{"room":"a","room":"b"}',
      '{"room":"\\ud800"}',
      '{"__proto__":{"room":"x"}}',
      "\xef\xbb\xbf{}",
    ],
    ...[`{"keyterms":[${'"x",'.repeat(5000)}"x"]}`, `{"text":"${"x".repeat(300_000)}"}`],
  ),
);
const formBody = fc.oneof(
  pairs.map((all) => all.map(([name, text]) => `${name}=${text}`).join("&")),
  pairs.map((all) =>
    new URLSearchParams(all.map(([a, b]): [string, string] => [a, b.toWellFormed()])).toString(),
  ),
  fc.constantFrom("a=b&".repeat(20_000), "stages=tts&".repeat(3000), "%=%&&==&", "a[b][c]=d"),
);
const multipartBody = fc.oneof(
  pairs.map((all) =>
    [...all, ["audio", "RIFF"] as const]
      .map(
        ([name, text]) =>
          `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`,
      )
      .concat("--x--\r\n")
      .join(""),
  ),
  fc.constantFrom(
    ...["--x", "--x--", "--x\r\n\r\n\r\n--x--", "--y\r\n", "--x\r\n".repeat(5000)],
    '--x\r\nContent-Disposition: form-data; name="audio"; filename="a\0b"\r\n\r\nRIFF\r\n--x--\r\n',
  ),
);
const typed = fc.oneof(
  fc.tuple(fc.constant("application/json"), jsonBody),
  fc.tuple(fc.constant("application/x-www-form-urlencoded"), formBody),
  fc.tuple(
    fc.constantFrom("multipart/form-data; boundary=x", "multipart/form-data"),
    multipartBody,
  ),
  fc.tuple(inHeader, fc.oneof(jsonBody, formBody, multipartBody, odd)),
);

/** Requests to every route, some of them good and most of them not. */
export function requests(
  routes: readonly Route[],
  ids: readonly string[],
): fc.Arbitrary<HttpRequest> {
  return fc.constantFrom(...routes).chain((route) =>
    fc
      .record({
        method: fc.oneof(
          { weight: 6, arbitrary: fc.constant(route.method) },
          { weight: 2, arbitrary: fc.constantFrom(...METHODS) },
          { weight: 1, arbitrary: fc.constantFrom(...OTHER_METHODS) },
        ),
        target: target(route, ids),
        host,
        extra: fc.array(header, { maxLength: 5 }),
        typed,
        framing: fc.constantFrom<HttpRequest["framing"]>(
          ...(["length", "length", "length", "chunked", "none", "too short", "too long"] as const),
        ),
      })
      .map(({ method, target, host, extra, typed: [type, body], framing }) => ({
        ...{ method, target, body, framing },
        headers: [["Host", host], ["Content-Type", type], ...extra],
      })),
  );
}

/** The bytes of a request, which asks that its connection is closed. */
export function bytesOf({ method, target, headers, body, framing }: HttpRequest): Buffer {
  // Characters up to U+00FF are bytes, so that a body need not be UTF-8.
  const content = Buffer.from(body, /^[\p{Cc} -ÿ]*$/u.test(body) ? "latin1" : "utf8");
  const lines = headers.map(([name, text]) => `${name}: ${text}\r\n`).join("");
  const lengths = { length: 0, "too short": -1, "too long": 10 };
  const length = framing in lengths ? content.length + lengths[framing as "length"] : 0;
  const head = (more: string) =>
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}${more}\r\n`, "latin1");
  if (framing === "none") return head("");
  if (framing !== "chunked")
    return Buffer.concat([head(`Content-Length: ${Math.max(0, length)}\r\n`), content]);
  const chunk = content.length === 0 ? "" : `${content.length.toString(16)}\r\n`;
  const parts = [Buffer.from(chunk), content, Buffer.from(`${chunk && "\r\n"}0\r\n\r\n`)];
  return Buffer.concat([head("Transfer-Encoding: chunked\r\n"), ...parts]);
}
