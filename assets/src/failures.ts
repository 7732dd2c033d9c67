/** Tells about an htmx request that failed, in the words of the error's own body where it has one. */
import { showToast } from "./toast.js";

interface ErrorBody {
  message: string;
  hint: string | null;
}

function readBody(text: string): ErrorBody | null {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null && "message" in body ? (body as ErrorBody) : null;
  } catch {
    return null;
  }
}

/** A part with data-quiet asks in the background, and asks again by itself. */
function isQuiet(event: Event): boolean {
  return event.target instanceof Element && event.target.closest("[data-quiet]") !== null;
}

document.addEventListener("htmx:responseError", (event) => {
  if (isQuiet(event)) return;
  const request = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail.xhr;
  if (request.status === 401) return location.reload();
  const body = readBody(request.responseText);
  const message = body ? [body.message, body.hint].filter(Boolean).join(" ") : `The server returned an error (${request.status}).`;
  showToast(message, "danger");
});

document.addEventListener("htmx:sendError", (event) => {
  if (isQuiet(event)) return;
  showToast("The server cannot be reached. Reload the page to see what was saved.", "danger");
});
