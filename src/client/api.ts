/** A request that Parley refused, or that did not reach it (`status` 0). */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Seconds, from the `Retry-After` header. */
  readonly retryAfter: number | undefined;

  constructor(status: number, title: string, detail: string, retryAfter?: number) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/** Body of `POST /session`. The server treats empty strings as absent. */
export interface StartRequest {
  room: string;
  identity: string;
  system_prompt?: string;
  greeting?: string;
  voice?: string;
  /** A BCP 47 tag or `auto`; absent: what the server is configured for. */
  language?: string;
  keyterms?: string[];
}

/** The part of `GET /session/:id` that the page uses. */
export interface SessionView {
  session_id: string;
  state: string;
  started_at: string;
  end_reason: string | null;
}

const TIMEOUT_MS = 10_000;
/** Longer, because the server waits up to 10 s for LiveKit. */
const TOKEN_TIMEOUT_MS = 20_000;
/** Longer, because the server loads the agent's code at its first session. */
const START_TIMEOUT_MS = 45_000;

/** `GET /token`: a LiveKit token that lets `identity` join `room`. */
export async function fetchToken(
  query: { room: string; identity: string; name: string },
  signal?: AbortSignal,
): Promise<string> {
  const search = new URLSearchParams({ room: query.room, identity: query.identity });
  if (query.name !== "") search.set("name", query.name);
  const body = await request("GET", `/token?${search}`, { signal, timeoutMs: TOKEN_TIMEOUT_MS });
  return field(body, "token");
}

/** `POST /session`. Returns the session's id. */
export async function createSession(start: StartRequest): Promise<string> {
  const body = await request("POST", "/session", { json: start, timeoutMs: START_TIMEOUT_MS });
  return field(body, "session_id");
}

/** `GET /session/:id`. Returns undefined if there is no such session. */
export async function findSession(id: string): Promise<SessionView | undefined> {
  try {
    const body = await request("GET", `/session/${encodeURIComponent(id)}`, {
      timeoutMs: TIMEOUT_MS,
    });
    return {
      session_id: field(body, "session_id"),
      state: field(body, "state"),
      started_at: field(body, "started_at"),
      end_reason: text(body, "end_reason") ?? null,
    };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** `DELETE /session/:id`. Succeeds also if there is no such session. */
export async function deleteSession(id: string): Promise<void> {
  try {
    await request("DELETE", `/session/${encodeURIComponent(id)}`, { timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return;
    throw error;
  }
}

/** `POST /session/:id/message`. */
export async function sendMessage(id: string, text: string): Promise<void> {
  const path = `/session/${encodeURIComponent(id)}/message`;
  await request("POST", path, { json: { text }, timeoutMs: TIMEOUT_MS });
}

async function request(
  method: string,
  path: string,
  options: { json?: unknown; signal?: AbortSignal; timeoutMs: number },
): Promise<unknown> {
  const signals = [AbortSignal.timeout(options.timeoutMs)];
  if (options.signal) signals.push(options.signal);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        accept: "application/json",
        ...(options.json === undefined ? {} : { "content-type": "application/json" }),
      },
      body: options.json === undefined ? undefined : JSON.stringify(options.json),
      signal: AbortSignal.any(signals),
      // Otherwise a redirect to the sign-in page would look like a successful response.
      redirect: "manual",
      // A session must be deleted even if the page is closed meanwhile.
      keepalive: method === "DELETE",
    });
  } catch (error) {
    throw new ApiError(0, "Parley cannot be reached", String(error));
  }
  if (response.type === "opaqueredirect") throw new ApiError(401, "Signed out", "Sign in again.");
  if (!response.ok) throw await refusal(response);
  const body: unknown = await response.json().catch(() => null);
  return body;
}

/** Reads an RFC 9457 problem. Any other body, such as a proxy's page, is replaced by a sentence. */
async function refusal(response: Response): Promise<ApiError> {
  const retry = Number(response.headers.get("retry-after") ?? Number.NaN);
  const body: unknown = await response.json().catch(() => null);
  return new ApiError(
    response.status,
    text(body, "title") ?? `Parley responded with ${response.status}`,
    [text(body, "detail"), ...fieldErrors(body)].filter(Boolean).join(" "),
    Number.isFinite(retry) ? retry : undefined,
  );
}

function fieldErrors(body: unknown): string[] {
  if (typeof body !== "object" || body === null || !("errors" in body)) return [];
  if (!Array.isArray(body.errors)) return [];
  return body.errors.flatMap((item: unknown) => text(item, "message") ?? []).map((m) => `${m}.`);
}

function text(body: unknown, name: string): string | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const value: unknown = Reflect.get(body, name);
  return typeof value === "string" ? value : undefined;
}

function field(body: unknown, name: string): string {
  const value = text(body, name);
  if (value === undefined) {
    throw new ApiError(502, "Unexpected response from Parley", `It has no ${name}.`);
  }
  return value;
}
