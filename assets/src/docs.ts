/** Pages to read: which heading is in view, the search as one types, and one choice of language for all samples of code. */

import { areSingleKeysOff } from "./shortcuts.js";

const LANGUAGE = "basewarden.code";

/** Marks, in the list of headings, the last one that has passed the top of the window. */
function followHeadings(list: HTMLElement): void {
  const links = Array.from(list.querySelectorAll<HTMLAnchorElement>('a[href^="#"]'));
  const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const mark = (): void => {
    const atEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const passed = headings.filter((heading) => heading !== null && heading.getBoundingClientRect().top < 120).length;
    const current = atEnd ? links.length - 1 : Math.max(passed - 1, 0);
    links.forEach((link, at) => {
      if (at !== current) link.removeAttribute("aria-current");
      else if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "true");
        const frame = list.closest<HTMLElement>("[popover]") ?? list;
        if (!frame.matches(":hover")) keepInView(frame, link);
      }
    });
  };
  let isWaiting = false;
  document.addEventListener("scroll", () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      mark();
    });
  }, { passive: true });
  mark();
}

/** Scrolls the list alone, never the page. */
function keepInView(list: HTMLElement, link: HTMLElement): void {
  const { top, bottom } = link.getBoundingClientRect();
  const frame = list.getBoundingClientRect();
  if (top < frame.top) list.scrollTop -= frame.top - top + 8;
  else if (bottom > frame.bottom) list.scrollTop += bottom - frame.bottom + 8;
}

class DocsSearch {
  constructor(
    private readonly field: HTMLInputElement,
    private readonly found: HTMLElement,
  ) {
    found.addEventListener("htmx:afterSwap", () => this.show());
    field.addEventListener("focus", () => this.show());
    for (const part of [field, found]) part.addEventListener("keydown", (event) => this.press(event));
    document.addEventListener("click", (event) => {
      if (event.target instanceof Node && !found.contains(event.target) && event.target !== field) this.hide();
    });
    document.addEventListener("keydown", (event) => {
      const isTyping = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping || areSingleKeysOff()) return;
      event.preventDefault();
      field.focus();
      field.select();
    });
  }

  private show(): void {
    this.found.hidden = this.field.value.trim() === "" || this.found.childElementCount === 0;
  }

  private hide(): void {
    this.found.hidden = true;
  }

  private press(event: KeyboardEvent): void {
    if (event.key === "Escape" && !this.found.hidden) {
      this.hide();
      this.field.focus();
      this.hide();
    } else if (event.key === "ArrowDown") this.move(1);
    else if (event.key === "ArrowUp") this.move(-1);
    else return;
    event.preventDefault();
  }

  private move(step: number): void {
    this.show();
    if (this.found.hidden) return;
    const places = [this.field, ...this.found.querySelectorAll("a")];
    const at = places.indexOf(document.activeElement as HTMLAnchorElement);
    places[(at + step + places.length) % places.length]?.focus();
  }
}

/** Choosing a language for one sample chooses it for all of the page, and for the next one. */
function shareLanguage(): void {
  const choose = (language: string): void => {
    for (const tab of document.querySelectorAll<HTMLInputElement>(`.docs .snippet-tabs > input[id$="-${CSS.escape(language)}"]`)) tab.checked = true;
  };
  document.addEventListener("change", (event) => {
    const tab = event.target;
    if (!(tab instanceof HTMLInputElement) || !tab.matches(".docs .snippet-tabs > input")) return;
    const language = tab.id.slice(tab.name.length + 1);
    const before = tab.getBoundingClientRect().top;
    choose(language);
    scrollBy({ top: tab.getBoundingClientRect().top - before, behavior: "instant" });
    try {
      localStorage.setItem(LANGUAGE, language);
    } catch {
      // Without storage the choice holds for this page.
    }
  });
  try {
    const language = localStorage.getItem(LANGUAGE);
    if (language !== null && /^\w+$/.test(language)) choose(language);
  } catch {
    // Nothing was remembered.
  }
}

const contents = document.querySelector<HTMLElement>("[data-spy]");
if (contents) followHeadings(contents);
const field = document.querySelector<HTMLInputElement>("[data-docs-search]");
const found = document.getElementById("docs-found");
if (field && found) new DocsSearch(field, found);
if (document.querySelector(".docs .snippet-tabs")) shareLanguage();
