/** Changes a part of the page into what the server sent, element by element: what is equal stays, with its focus, scroll and selection. */

/** Attributes that belong to the reader, not to the server. */
const KEPT: readonly [string, string][] = [
  ["DETAILS", "open"],
  ["DIALOG", "open"],
  ["TIME", "title"],
];

/** Names an element among its siblings: by id or data-key, otherwise by its kind and place. */
function keyOf(element: Element): string | null {
  return element.id || element.getAttribute("data-key") || null;
}

function isKept(element: Element, name: string): boolean {
  if (name === "data-live-connected" || name === "data-live-stale" || (name === "hidden" && element.hasAttribute("data-live-mark"))) return true;
  return KEPT.some(([tag, attribute]) => element.tagName === tag && attribute === name);
}

function morphAttributes(old: Element, next: Element): void {
  for (const { name } of Array.from(old.attributes)) if (!next.hasAttribute(name) && !isKept(old, name)) old.removeAttribute(name);
  for (const { name, value } of Array.from(next.attributes))
    if (old.getAttribute(name) !== value && !isKept(old, name)) old.setAttribute(name, value);
}

/** Text that the script has localised is written again only where the time itself differs. */
function isSameTime(old: Element, next: Element): boolean {
  return old instanceof HTMLTimeElement && next instanceof HTMLTimeElement && old.dateTime === next.dateTime && old.dataset["moment"] !== undefined;
}

function isSameKind(old: Node, next: Node): boolean {
  if (!(old instanceof Element) || !(next instanceof Element)) return old.nodeType === next.nodeType;
  return old.tagName === next.tagName && keyOf(old) === keyOf(next);
}

/** The old node for a new one: that of the same key, wherever it stood, or the next of the same kind without a key. */
function findOld(rest: Node[], next: Node): Node | undefined {
  const key = next instanceof Element ? keyOf(next) : null;
  const found = rest.find((node) => isSameKind(node, next));
  // Text is not taken from behind an element: that would move the element instead.
  return key === null && next.nodeType === Node.TEXT_NODE && found !== rest[0] ? undefined : found;
}

/** Makes `old` equal to `next`; calls `arrive` for each new element that has a key. */
export function morph(old: Element, next: Element, arrive: (element: Element) => void): void {
  if (isSameTime(old, next)) return;
  if (old === document.activeElement && old.matches("input, select, textarea")) return;
  morphAttributes(old, next);
  const rest: Node[] = Array.from(old.childNodes);
  let place: ChildNode | null = old.firstChild;
  for (const child of Array.from(next.childNodes)) {
    const same = findOld(rest, child);
    if (same === undefined) {
      const added = document.importNode(child, true);
      old.insertBefore(added, place);
      if (added instanceof Element && keyOf(added) !== null) arrive(added);
      continue;
    }
    rest.splice(rest.indexOf(same), 1);
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    if (same instanceof Element && child instanceof Element) morph(same, child, arrive);
    else if (same.nodeValue !== child.nodeValue) same.nodeValue = child.nodeValue;
  }
  for (const gone of rest) (gone as ChildNode).remove();
}
