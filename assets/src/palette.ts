/**
 * Ctrl/Cmd-K finds pages, tables, rows, sessions and agents, and runs commands. The options are HTML from GET /palette and,
 * as rows take longer, from GET /palette/rows. Commands are links and forms that the pages have too.
 */
import { onClick } from "./events.js";
import { isApple, openShortcuts } from "./shortcuts.js";
import { toggleTheme } from "./theme.js";

interface Recent {
  label: string;
  hint: string;
  href: string;
}

const PAUSE_MS = 90;
const MIN_ROW_TEXT = 2;
const LOOKING_MS = 300;
const MOST_AGAIN = 3;
const MAX_RECENT = 5;
const RECENT_SHOWN = 3;
const RECENT_KEY = "basewarden.recent";

const SCRIPTS: Record<string, () => void> = { theme: toggleTheme, shortcuts: openShortcuts };

class Palette {
  private readonly input: HTMLInputElement;
  private readonly list: HTMLElement;
  private readonly note: HTMLElement;
  private options: HTMLAnchorElement[] = [];
  private selected = -1;
  private hasMoved = false;
  private pending = new AbortController();
  private timer = 0;
  private isCurrent = false;
  private isEntered = false;

  constructor(private readonly dialog: HTMLDialogElement) {
    this.input = dialog.querySelector<HTMLInputElement>(".palette-input")!;
    this.list = dialog.querySelector<HTMLElement>(".palette-list")!;
    this.note = dialog.querySelector<HTMLElement>(".palette-note")!;
    this.input.addEventListener("input", () => this.searchSoon());
    this.input.addEventListener("keydown", (event) => this.press(event));
    this.list.addEventListener("click", (event) => this.choose(event));
    this.list.addEventListener("mousemove", (event) => this.point(event));
    dialog.addEventListener("close", () => this.pending.abort());
  }

  toggle(): void {
    if (this.dialog.open) return this.dialog.close();
    noteVisit();
    this.dialog.showModal();
    this.input.value = "";
    this.isCurrent = this.isEntered = this.hasMoved = false;
    void this.search();
  }

  private searchSoon(): void {
    this.isCurrent = this.isEntered = this.hasMoved = false;
    this.pending.abort(); // Enter must not take the first result of what was typed before
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.search(), PAUSE_MS);
  }

  private async search(): Promise<void> {
    this.pending.abort();
    this.pending = new AbortController();
    const { signal } = this.pending;
    const text = this.input.value.trim();
    try {
      // Both are asked at once; the rows come below the places that are there already, and above the commands.
      const rows = text.length < MIN_ROW_TEXT ? null : this.load("/palette/rows", text, signal);
      rows?.catch(() => null);
      this.show(await this.load("/palette", text, signal), text);
      if (rows) await this.appendRows(await this.whileLooking(rows), text, signal);
      this.isCurrent = true;
      this.note.textContent = text === "" ? "" : describeCount(this.options);
    } catch {
      if (!signal.aborted) this.fail();
    }
  }

  private async load(path: string, text: string, signal: AbortSignal): Promise<DocumentFragment> {
    const parameters = new URLSearchParams({ q: text, in: this.dialog.dataset["connection"] ?? "" });
    const answer = await fetch(`${path}?${parameters}`, { signal });
    if (answer.redirected) location.reload();
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const template = document.createElement("template");
    template.innerHTML = await answer.text();
    return template.content;
  }

  private show(found: DocumentFragment, text: string): void {
    this.list.replaceChildren(...(text === "" ? drawRecent(this.dialog.dataset["connection"] ?? "") : []), found);
    this.list.scrollTop = 0;
    this.collect();
    this.selectFirst();
    this.isCurrent = this.selected >= 0;
    if (this.isEntered && this.isCurrent) this.go(this.options[this.selected], false);
  }

  private async whileLooking(rows: Promise<DocumentFragment>): Promise<DocumentFragment> {
    const timer = setTimeout(() => (this.note.textContent = "Searching rows…"), LOOKING_MS);
    try {
      return await rows;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A project that was just connected may be slower than the server waits: then the rows are asked for again. */
  private async appendRows(rows: DocumentFragment, text: string, signal: AbortSignal): Promise<void> {
    for (let again = 0; rows.querySelector("[data-incomplete]") && again < MOST_AGAIN; again++) {
      this.note.textContent = "Searching rows…";
      rows = await this.load("/palette/rows", text, signal);
    }
    this.append(rows);
  }

  private append(rows: DocumentFragment): void {
    const current = this.options[this.selected];
    this.list.insertBefore(rows, this.list.querySelector(":scope > [data-commands]"));
    this.collect();
    if (this.hasMoved && current) this.select(this.options.indexOf(current));
    else this.selectFirst();
    if (this.isEntered && !this.isCurrent) this.go(this.options[this.selected], false);
  }

  private fail(): void {
    this.list.replaceChildren();
    this.collect();
    this.note.textContent = "The results could not be loaded.";
  }

  private collect(): void {
    this.options = Array.from(this.list.querySelectorAll<HTMLAnchorElement>("[role='option']"));
    this.options.forEach((option, index) => (option.id = `palette-${index}`));
    this.input.setAttribute("aria-expanded", String(this.options.length > 0));
    if (this.options.length === 0) this.input.removeAttribute("aria-activedescendant");
  }

  /** What stops or breaks something at one press is never selected before a person has moved to it. */
  private selectFirst(): void {
    this.selected = -1;
    this.input.removeAttribute("aria-activedescendant");
    const first = this.options.findIndex((option) => option.dataset["stopsWork"] === undefined);
    if (first >= 0) this.select(first);
  }

  private select(index: number): void {
    const count = this.options.length;
    if (count === 0) return;
    this.selected = (index + count) % count;
    this.options.forEach((option, at) => option.setAttribute("aria-selected", String(at === this.selected)));
    const current = this.options[this.selected]!;
    this.input.setAttribute("aria-activedescendant", current.id);
    if (this.selected === 0) this.list.scrollTop = 0;
    else current.scrollIntoView({ block: "nearest" });
  }

  private press(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") this.move(this.selected + 1);
    else if (event.key === "ArrowUp") this.move(this.selected < 0 ? -1 : this.selected - 1);
    else if (event.key === "Enter") this.enter(event.ctrlKey || event.metaKey);
    else return;
    event.preventDefault();
  }

  private move(index: number): void {
    this.hasMoved = true;
    this.select(index);
  }

  /** Enter that comes before the results of what was typed waits for them. */
  private enter(inNewTab: boolean): void {
    if (this.isCurrent) this.go(this.options[this.selected], inNewTab);
    else this.isEntered = true;
  }

  private point(event: MouseEvent): void {
    if (event.movementX === 0 && event.movementY === 0) return; // the list moved under a pointer that rests
    const option = optionOf(event.target);
    if (option && this.options[this.selected] !== option) this.move(this.options.indexOf(option));
  }

  private choose(event: MouseEvent): void {
    const option = optionOf(event.target);
    if (!option) return;
    const isPlainLink = option.dataset["method"] === "get" && !option.dataset["script"];
    if (isPlainLink && (event.ctrlKey || event.metaKey || event.shiftKey)) return remember(option);
    event.preventDefault();
    this.go(option, false);
  }

  private go(option: HTMLAnchorElement | undefined, inNewTab: boolean): void {
    if (!option) return;
    const script = SCRIPTS[option.dataset["script"] ?? ""];
    if (script || option.dataset["method"] === "post") this.dialog.close();
    if (script) return script();
    if (option.dataset["method"] === "post") return post(option.href);
    remember(option);
    if (inNewTab) window.open(option.href, "_blank", "noopener");
    else this.follow(option.href);
  }

  /** A place of the page that is open changes only the address's fragment, so the palette must close by itself. */
  private follow(href: string): void {
    this.dialog.close();
    location.assign(href);
  }
}

function optionOf(target: EventTarget | null): HTMLAnchorElement | null {
  return target instanceof Element ? target.closest<HTMLAnchorElement>("[role='option']") : null;
}

function describeCount(options: HTMLElement[]): string {
  const listed = options.filter((option) => option.dataset["more"] === undefined).length;
  if (listed === 0) return "No results. Try fewer or shorter words.";
  if (listed < options.length) return `The first ${listed} results`;
  return listed === 1 ? "1 result" : `${listed} results`;
}

function post(href: string): void {
  const form = document.createElement("form");
  form.method = "post";
  form.action = href;
  document.body.append(form);
  form.submit();
}

/** Kept for this tab only, and without rows, whose labels are somebody's data. */
function remember(option: HTMLAnchorElement): void {
  const path = option.pathname + option.search + option.hash;
  if (/^\/c\/[^/]+\/data\/[^/]+\/./.test(path)) return;
  const label = option.querySelector(".palette-label")?.textContent ?? "";
  const hint = option.querySelector(".palette-hint")?.textContent ?? "";
  keep({ label, hint, href: path });
}

function keep(place: Recent): void {
  const others = readRecent().filter((recent) => recent.href !== place.href);
  sessionStorage.setItem(RECENT_KEY, JSON.stringify([place, ...others].slice(0, 2 * MAX_RECENT)));
}

/** The pages and tables that one opens are recent ones too, however one came there; a page is called as its title begins. */
function noteVisit(): void {
  const found = /^\/c\/[^/]+\/(?:(data\/)[^/]+|[^/]+)$/.exec(location.pathname);
  const label = document.title.split(" · ")[0];
  if (found && label) keep({ label, hint: found[1] ? "table" : "", href: location.pathname });
}

function readRecent(): Recent[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(RECENT_KEY) ?? "[]");
    return Array.isArray(kept) ? (kept as Recent[]) : [];
  } catch {
    return [];
  }
}

function drawRecent(connection: string): Node[] {
  const fitting = readRecent().filter(({ href }) => href.split("?")[0] !== location.pathname && (!href.startsWith("/c/") || href.startsWith(`/c/${connection}`)));
  if (fitting.length === 0) return [];
  const group = document.createElement("div");
  group.className = "palette-group";
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Recent");
  const title = document.createElement("p");
  title.className = "palette-title";
  title.setAttribute("aria-hidden", "true");
  title.textContent = "Recent";
  group.append(title, ...fitting.slice(0, RECENT_SHOWN).map(drawRecentItem));
  return [group];
}

function drawRecentItem({ label, hint, href }: Recent): HTMLElement {
  const item = document.createElement("a");
  item.className = "palette-item";
  item.href = href.startsWith("/") && !href.startsWith("//") ? href : "/";
  item.tabIndex = -1;
  item.dataset["method"] = "get";
  item.setAttribute("role", "option");
  const name = document.createElement("span");
  name.className = "palette-label";
  name.textContent = label;
  const sign = document.querySelector<HTMLTemplateElement>("#palette-recent")?.content.cloneNode(true);
  item.append(...(sign ? [sign] : []), name);
  if (hint) {
    const note = document.createElement("span");
    note.className = "palette-hint";
    note.textContent = hint;
    item.append(note);
  }
  return item;
}

const dialog = document.getElementById("palette");
if (dialog instanceof HTMLDialogElement) {
  const palette = new Palette(dialog);
  noteVisit();
  onClick("[data-palette-open]", (_, event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    palette.toggle();
  });
  onClick("[data-palette-close]", () => dialog.close());
  onClick("#palette", (element, event) => {
    if (event.target === element) dialog.close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || event.altKey || event.shiftKey || !(isApple ? event.metaKey : event.ctrlKey)) return;
    event.preventDefault();
    palette.toggle();
  });
} else {
  sessionStorage.removeItem(RECENT_KEY); // signed out: the next person must not see it
}
