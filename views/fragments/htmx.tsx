/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";

/**
 * Settings of htmx: the indicator's styles are in our stylesheet, history stays the browser's, and
 * script in attributes, which the page's policy forbids, is never used.
 */
export const HTMX_CONFIG = JSON.stringify({ includeIndicatorCSS: false, history: false });

/** On `<body>`: an error never replaces the content that a request was meant to refresh. */
export const KEEP_CONTENT_ON_ERROR = {
  "hx-status:4xx:inherited": "swap:none",
  "hx-status:5xx:inherited": "swap:none",
};

/** Shows the error of a refused request in the `ErrorSlot` with that id. */
export function showErrorsIn(slotId: string) {
  const swap = `target:#${slotId} swap:innerHTML`;
  return { "hx-status:4xx": swap, "hx-status:5xx": swap };
}

/**
 * A form that HTMX posts and that works without HTMX, too. The answer is never swapped in: it is
 * an `HX-Redirect`, or the change arrives as an event of the page. A refusal appears in the slot.
 */
export function formAttributes(action: string, slotId: string) {
  return {
    method: "post" as const,
    action,
    "hx-post": action,
    "hx-swap": "none",
    ...showErrorsIn(slotId),
  };
}

/** Where `showErrorsIn` puts an error; takes no space while it is empty. */
export function ErrorSlot({ id }: { id: string }) {
  return <div id={id} class="error-slot"></div>;
}

/** An error message. `alert` makes screen readers announce it. */
export function ErrorNotice(props: { children: Child; alert?: boolean; id?: string }) {
  const { children, alert = false, id } = props;
  return (
    <p class="notice row small" data-tone="error" {...(alert ? { role: "alert" } : {})} id={id}>
      {children}
    </p>
  );
}
