import { connect, type Socket } from "node:net";

/** A response as it came over the wire. */
export interface RawResponse {
  /** Undefined when the connection ended without a response. */
  status: number | undefined;
  /** With names in lower case. */
  headers: Map<string, string>;
  /** As far as it came. */
  body: string;
}

/** Ends what hangs, and judges no speed. */
const DEADLINE_MS = 20_000;

/**
 * Sends bytes to a server on this machine and resolves with its first response, once that is whole
 * or the connection has ended. Of an answer without a length, only the head is awaited.
 *
 * @param ends whether nothing more is sent, which the server learns
 * @throws Error when the server neither answers nor closes the connection
 */
export function exchange(
  port: number,
  bytes: string | Uint8Array,
  { ends = false } = {},
): Promise<RawResponse> {
  const request = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  const { promise, resolve, reject } = Promise.withResolvers<RawResponse>();
  let got = Buffer.alloc(0);
  const socket = connect(port, "127.0.0.1", () => {
    socket.write(request);
    if (ends) socket.end();
  });
  const timer = setTimeout(() => {
    reject(new Error(`no answer within ${DEADLINE_MS} ms, only ${JSON.stringify(String(got))}`));
    socket.destroy();
  }, DEADLINE_MS);
  const isHead = Buffer.from(request.subarray(0, 5)).toString("latin1") === "HEAD ";
  socket.on("data", (chunk: Buffer) => {
    got = Buffer.concat([got, chunk]);
    if (isWhole(got, isHead)) socket.destroy();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(read(got));
  });
  return promise;
}

function isWhole(got: Buffer, isHead: boolean): boolean {
  const { status, headers, body } = read(got);
  if (status === undefined) return false;
  const length = headers.get("content-length");
  if (isHead || length === undefined || status === 204 || status === 304) return true;
  return Buffer.byteLength(body, "latin1") >= Number(length);
}

function read(got: Buffer): RawResponse {
  const text = got.toString("latin1").replace(/^(?:HTTP\/1\.1 100 [\s\S]*?\r\n\r\n)+/, "");
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return { status: undefined, headers: new Map(), body: "" };
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = lines.map((line) => {
    const [name = "", ...value] = line.split(": ");
    return [name.toLowerCase(), value.join(": ")] as const;
  });
  return {
    status: Number(first.split(" ")[1]),
    headers: new Map(headers),
    body: text.slice(end + 4),
  };
}

/** Opens a WebSocket over a bare connection, which reads only when it is resumed. */
export async function openRawSocket(
  port: number,
  path: string,
  headers = "",
): Promise<{ socket: Socket; rest: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ socket: Socket; rest: Buffer }>();
  const socket = connect(port, "127.0.0.1", () => {
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n${headers}` +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
  });
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    socket.off("data", onData);
    socket.pause();
    resolve({ socket, rest: head.subarray(end + 4) });
  };
  socket.on("data", onData);
  socket.on("error", reject);
  return promise;
}
