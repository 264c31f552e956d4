import type { MiddlewareHandler } from "hono";
import type { Logger } from "pino";

/** One line a request. The query stays out: it holds names of people and rooms. */
export function requestLog(logger: Logger): MiddlewareHandler {
  return async (c, next) => {
    const startedAt = performance.now();
    await next();
    logger.info(
      {
        request_id: c.get("requestId"),
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        duration_ms: Math.round((performance.now() - startedAt) * 10) / 10,
      },
      "request",
    );
  };
}
