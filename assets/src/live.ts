/**
 * Parts of a page that move while agents work. An element with data-live="<path of events>" is loaded again when something
 * happens there; data-live-parts="<selector>" names other elements with ids instead, and data-live-source="<path>" a smaller
 * response than the page that has them. Rows that have data-key slide in. Without a connection, or without this script, the
 * page stays as it was loaded.
 */
import htmx from "htmx.org";

import { onArrival, within } from "./events.js";
import { morph } from "./morph.js";

const MIN_INTERVAL_MS = 1000;
const FIRST_RETRY_MS = 2000;
const LONGEST_RETRY_MS = 120_000;
const KINDS = ["write", "refused", "state", "proposal", "reload"];
/** A session becomes idle without an event: a page that calls one running asks again. */
const RUNNING = "[data-running], .sidebar-count.is-live";
const RUNNING_MS = 15_000;
/** The sidebar, which counts sessions and blocked requests. */
const COUNTS = "#navigation";

/** One stream, for all elements of the page that name its path. */
class LiveStream {
  private source: EventSource | null = null;
  private isReopened = false;
  private retryMs = FIRST_RETRY_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly path: string) {}

  open(): void {
    if (this.source || document.hidden) return;
    const source = new EventSource(this.path);
    this.source = source;
    source.addEventListener("open", () => {
      this.retryMs = FIRST_RETRY_MS;
      showMarks(this.path, true);
      this.loadMissed();
    });
    source.addEventListener("error", () => {
      showMarks(this.path, false);
      // The browser tries again by itself, unless the server refused.
      if (source.readyState === EventSource.CLOSED) this.openLater();
    });
    for (const kind of KINDS) source.addEventListener(kind, () => refresh(this.path));
  }

  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.isReopened = true;
    showMarks(this.path, false);
  }

  /** What happened while it was closed, no event says. The browser's own retries continue after the last event. */
  private loadMissed(): void {
    if (this.isReopened) refresh(this.path);
    this.isReopened = false;
  }

  private openLater(): void {
    this.close();
    this.timer = setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
  }
}

const streams = new Map<string, LiveStream>();
let isLoading = false;
let mayLoadAt = 0;
let isScheduled = false;

function listLive(path: string): HTMLElement[] {
  return Array.from(document.querySelectorAll<HTMLElement>("[data-live]")).filter((element) => element.dataset["live"] === path);
}

function showMarks(path: string, isConnected: boolean): void {
  for (const element of listLive(path)) element.toggleAttribute("data-live-connected", isConnected);
  const isAny = document.querySelector("[data-live-connected]") !== null;
  for (const mark of document.querySelectorAll<HTMLElement>("[data-live-mark]")) mark.hidden = !isAny;
}

/** Loads the page again for its live parts, at most once a second. */
function refresh(path: string): void {
  for (const element of listLive(path)) element.toggleAttribute("data-live-stale", true);
  if (isScheduled) return;
  isScheduled = true;
  setTimeout(() => {
    isScheduled = false;
    void load();
  }, Math.max(0, mayLoadAt - performance.now()));
}

async function load(): Promise<void> {
  if (isLoading || document.hidden) return;
  isLoading = true;
  mayLoadAt = performance.now() + MIN_INTERVAL_MS;
  const stale = Array.from(document.querySelectorAll<HTMLElement>("[data-live-stale]"));
  for (const element of stale) element.removeAttribute("data-live-stale");
  try {
    for (const source of new Set(stale.map(sourceOf))) {
      const page = await fetchPage(source);
      if (page === null) continue;
      for (const element of stale) if (sourceOf(element) === source) replaceParts(element.dataset["liveParts"] ?? `#${CSS.escape(element.id)}`, page);
      replaceParts(COUNTS, page);
    }
  } catch {
    // The next event tries again.
  } finally {
    isLoading = false;
  }
  const next = document.querySelector<HTMLElement>("[data-live-stale]")?.dataset["live"];
  if (next !== undefined) refresh(next);
}

/** Where its parts are loaded from: the page itself, unless a smaller response has them. */
function sourceOf(element: HTMLElement): string {
  return element.dataset["liveSource"] ?? location.href;
}

async function fetchPage(source: string): Promise<Document | null> {
  const response = await fetch(source, { headers: { accept: "text/html" }, redirect: "error" });
  if (!response.ok) return null;
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function replaceParts(selector: string, page: Document): void {
  for (const part of document.querySelectorAll(selector)) {
    const next = part.id ? page.getElementById(part.id) : null;
    if (!next || isInUse(part)) continue;
    const arrived: Element[] = [];
    const focused = document.activeElement;
    morph(part, next, (added) => arrived.push(added));
    // A row that moved to another place has lost the focus on the way.
    if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    for (const added of arrived) added.classList.add("is-arriving");
    htmx.process(part as HTMLElement);
    part.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true, detail: { elt: part } }));
  }
}

/** A part with an open dialog or menu, or with something typed, is left alone until the next event. */
function isInUse(part: Element): boolean {
  return part.matches(":popover-open") || part.querySelector("dialog[open], [popover]:popover-open, form[data-guarded] :focus") !== null;
}

onArrival((part) => {
  for (const element of within<HTMLElement>(part, "[data-live]")) {
    const path = element.dataset["live"]!;
    if (!streams.has(path)) streams.set(path, new LiveStream(path));
    streams.get(path)!.open();
  }
});

setInterval(() => {
  if (document.hidden || !document.querySelector(RUNNING)) return;
  for (const element of document.querySelectorAll<HTMLElement>("[data-live]")) refresh(element.dataset["live"]!);
}, RUNNING_MS);

// A browser has six connections to a server: a page that is not seen gives its own back, and loads what it missed when it is seen again.
document.addEventListener("visibilitychange", () => {
  for (const stream of streams.values()) document.hidden ? stream.close() : stream.open();
});
addEventListener("pagehide", () => streams.forEach((stream) => stream.close()));
addEventListener("pageshow", (event) => {
  if (event.persisted) streams.forEach((stream) => stream.open());
});
