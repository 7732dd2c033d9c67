/** Listens once for the whole document, so that what htmx brings in later is heard too. */
export function onClick(selector: string, handle: (element: HTMLElement, event: MouseEvent) => void): void {
  document.addEventListener("click", (event) => {
    const element = event.target instanceof Element ? event.target.closest<HTMLElement>(selector) : null;
    if (element) handle(element, event);
  });
}

/** Calls `prepare` for the page and again for each part that htmx brings in. */
export function onArrival(prepare: (part: Element) => void): void {
  prepare(document.body);
  document.addEventListener("htmx:load", (event) => {
    if (event.target instanceof Element && event.target !== document.body) prepare(event.target);
  });
}

/** The part itself, where it matches, and everything in it that does. */
export function within<E extends Element>(part: Element, selector: string): E[] {
  const found = Array.from(part.querySelectorAll<E>(selector));
  return part.matches(selector) ? [part as E, ...found] : found;
}
