/** An element with data-poll="<milliseconds>" sends its htmx request again and again while the page is seen, less and less often. */
import { onArrival, within } from "./events.js";

const SLOWER = 1.25;
const LONGEST_MS = 20_000;
const ENDS_AFTER_MS = 1_800_000;

const started = new WeakSet<HTMLElement>();

function startPolling(element: HTMLElement): void {
  if (started.has(element)) return;
  started.add(element);
  const first = Number(element.dataset["poll"]);
  const end = Date.now() + ENDS_AFTER_MS;
  let wait = first;
  let failed = false;
  const ask = (): void => {
    if (failed || !element.isConnected || Date.now() > end) return;
    if (element.dataset["poll"] === undefined) {
      started.delete(element);
      return;
    }
    if (document.hidden) {
      document.addEventListener("visibilitychange", askAgain, { once: true });
      return;
    }
    element.dispatchEvent(new Event("poll"));
    wait = Math.min(wait * SLOWER, LONGEST_MS);
    setTimeout(ask, wait);
  };
  const askAgain = (): void => {
    wait = first;
    ask();
  };
  for (const failure of ["htmx:responseError", "htmx:sendError"])
    element.addEventListener(failure, () => {
      failed = true;
    });
  setTimeout(ask, wait);
}

onArrival((part) => {
  for (const element of within<HTMLElement>(part, "[data-poll]")) startPolling(element);
});
