/**
 * Ctrl/Cmd-K goes anywhere. The places come from GET /palette?q=<text> as
 * {"items": [{"label": string, "hint": string | null, "href": string}]}, best first.
 */
import { onClick } from "./events.js";

interface Place {
  label: string;
  hint: string | null;
  href: string;
}

const PAUSE_MS = 120;

class Palette {
  private readonly input: HTMLInputElement;
  private readonly list: HTMLElement;
  private readonly note: HTMLElement;
  private places: Place[] = [];
  private selected = 0;
  private pending = new AbortController();
  private timer = 0;

  constructor(private readonly dialog: HTMLDialogElement) {
    this.input = dialog.querySelector<HTMLInputElement>(".palette-input")!;
    this.list = dialog.querySelector<HTMLElement>(".palette-list")!;
    this.note = dialog.querySelector<HTMLElement>(".palette-note")!;
    this.input.addEventListener("input", () => this.searchSoon());
    this.input.addEventListener("keydown", (event) => this.press(event));
    this.list.addEventListener("click", (event) => this.choose(event));
  }

  toggle(): void {
    if (this.dialog.open) return this.dialog.close();
    this.dialog.showModal();
    this.input.select();
    void this.search();
  }

  private searchSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.search(), PAUSE_MS);
  }

  private async search(): Promise<void> {
    this.pending.abort();
    this.pending = new AbortController();
    const { signal } = this.pending;
    try {
      const answer = await fetch(`/palette?q=${encodeURIComponent(this.input.value)}`, { signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const body = (await answer.json()) as { items: Place[] };
      this.show(body.items, body.items.length === 0 ? "No results." : "");
    } catch {
      if (!signal.aborted) this.show([], "The list could not be loaded.");
    }
  }

  private show(places: Place[], note: string): void {
    this.places = places;
    this.note.textContent = note;
    this.list.replaceChildren(...places.map(drawPlace));
    this.select(0);
  }

  private select(index: number): void {
    this.selected = Math.max(0, Math.min(index, this.places.length - 1));
    Array.from(this.list.children).forEach((item, at) => item.setAttribute("aria-selected", String(at === this.selected)));
    const current = this.list.children[this.selected];
    this.input.setAttribute("aria-activedescendant", current?.id ?? "");
    current?.scrollIntoView({ block: "nearest" });
  }

  private press(event: KeyboardEvent): void {
    if (event.key === "ArrowDown") this.select(this.selected + 1);
    else if (event.key === "ArrowUp") this.select(this.selected - 1);
    else if (event.key === "Enter") this.go(this.selected);
    else return;
    event.preventDefault();
  }

  private choose(event: MouseEvent): void {
    const item = event.target instanceof Element ? event.target.closest("[role='option']") : null;
    if (item) this.go(Array.from(this.list.children).indexOf(item));
  }

  private go(index: number): void {
    const place = this.places[index];
    if (place) location.assign(place.href);
  }
}

function drawPlace(place: Place, index: number): HTMLElement {
  const item = document.createElement("li");
  item.id = `palette-${index}`;
  item.className = "palette-item";
  item.setAttribute("role", "option");
  const label = document.createElement("span");
  label.textContent = place.label;
  const hint = document.createElement("span");
  hint.className = "palette-hint";
  hint.textContent = place.hint ?? "";
  item.append(label, hint);
  return item;
}

const dialog = document.getElementById("palette");
if (dialog instanceof HTMLDialogElement) {
  const palette = new Palette(dialog);
  const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);
  for (const keys of document.querySelectorAll("[data-palette-keys]")) keys.textContent = isApple ? "⌘K" : "Ctrl K";
  onClick("[data-palette-open]", () => palette.toggle());
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || event.altKey || event.shiftKey || !(isApple ? event.metaKey : event.ctrlKey)) return;
    event.preventDefault();
    palette.toggle();
  });
}
