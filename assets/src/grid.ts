/** Moves through a grid by the arrow keys, one cell being the tab stop; Enter, F2, a double click or typing edits; Enter follows a link where there is one. */
import htmx from "htmx.org";

import { finishDraft, handOver, isDrafted, isPrinting, startDraft, stopDraft } from "./draft.js";
import { onArrival, onClick, within } from "./events.js";

const STEPS: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function cellsOf(table: HTMLTableElement): HTMLTableCellElement[][] {
  return Array.from(table.rows, (row) => Array.from(row.cells));
}

function focusCell(table: HTMLTableElement, cell: HTMLTableCellElement, options?: FocusOptions): void {
  for (const other of table.querySelectorAll<HTMLElement>("[tabindex='0']:is(td, th)")) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus(options);
}

function move(table: HTMLTableElement, cell: HTMLTableCellElement, [down, right]: readonly [number, number]): void {
  const cells = cellsOf(table);
  const row = cells.findIndex((line) => line.includes(cell));
  const column = cells[row]?.indexOf(cell) ?? 0;
  const next = cells[row + down]?.[column + right];
  if (next) focusCell(table, next);
}

function enter(cell: HTMLTableCellElement, key: string): void {
  const editor = cell.querySelector<HTMLElement>(".cell-edit");
  if (key === "F2" && editor) return editor.click();
  const inside = cell.querySelector<HTMLElement>(".cell-edit, a, input, summary");
  if (inside?.matches(".cell-edit, a")) inside.click();
  else inside?.focus();
}

/** The column that a cell is edited as; none where it is fixed, or its row has no address. */
function columnOf(cell: HTMLTableCellElement): string | undefined {
  const isFixed = cell.matches(".is-fixed, .is-editing") || !cell.closest("tbody") || !rowLinkOf(cell);
  return isFixed ? undefined : cell.closest("table")?.tHead?.rows[0]?.cells[cell.cellIndex]?.dataset["editable"];
}

function rowLinkOf(cell: HTMLElement): HTMLAnchorElement | null {
  return cell.closest("tr")?.querySelector<HTMLAnchorElement>(".row-link") ?? null;
}

/** Loads the editor of a cell, whose address is its row's with the column's name; `typed` replaces what it holds. */
function edit(cell: HTMLTableCellElement, typed = ""): void {
  const row = rowLinkOf(cell);
  const column = columnOf(cell);
  if (!row || column === undefined || isDrafted(cell)) return;
  startDraft(cell, column, typed);
  const query = new URLSearchParams({ column, edit: "1" });
  void htmx.ajax("get", `${row.pathname}/cell?${query}`, { source: cell, target: cell, swap: "outerHTML" });
}

function cellOf(target: EventTarget | null): HTMLTableCellElement | null {
  return target instanceof Element ? target.closest<HTMLTableCellElement>("table[data-grid] td") : null;
}

/** What a cell offers is made when it is pointed at or has the focus: a page has hundreds of cells. */
function prepareCell(target: EventTarget | null): void {
  const cell = cellOf(target);
  if (!cell || cell.dataset["isPrepared"] !== undefined) return;
  cell.dataset["isPrepared"] = "";
  const column = columnOf(cell);
  const pencil = document.querySelector<HTMLTemplateElement>("#pencil")?.content.firstElementChild;
  if (column !== undefined && pencil) {
    const button = pencil.cloneNode(true) as HTMLElement;
    button.ariaLabel = `Edit ${column}`;
    cell.append(button);
  }
  const link = cell.matches(".is-reference") ? cell.querySelector<HTMLAnchorElement>("a:not([title])") : null;
  if (link) link.title = new URLSearchParams(link.search).get("value") ?? decodeURIComponent(link.pathname.split("/").pop() ?? "");
}

function gridOf(target: EventTarget | null): HTMLTableElement | null {
  return target instanceof Element ? target.closest<HTMLTableElement>("table[data-grid]") : null;
}

document.addEventListener("pointerover", (event) => prepareCell(event.target));
document.addEventListener("focusin", (event) => prepareCell(event.target));

onClick(".cell-edit", (button) => {
  const cell = cellOf(button);
  if (cell) edit(cell);
});

onArrival((part) => {
  for (const table of within<HTMLTableElement>(part, "table[data-grid]")) {
    table.setAttribute("role", "grid");
    const first = table.tBodies[0]?.rows[0]?.cells[0];
    if (first) first.tabIndex = 0;
  }
});

document.addEventListener("keydown", (event) => {
  const table = gridOf(event.target);
  if (!table || !(event.target instanceof Element)) return;
  if (event.key === "Escape") {
    event.target.closest("td.is-editing")?.querySelector<HTMLElement>("[data-cancel]")?.click();
    return;
  }
  if (!(event.target instanceof HTMLTableCellElement)) return;
  const step = STEPS[event.key];
  if (step) move(table, event.target, step);
  else if (event.key === "Enter" || event.key === "F2") enter(event.target, event.key);
  else if (isPrinting(event) && columnOf(event.target) !== undefined) edit(event.target, event.key);
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const cell = cellOf(event.target);
  const isFree = cell && event.target instanceof Element && !event.target.closest("a, button, summary, input, textarea, select, label");
  const table = isFree ? gridOf(cell) : null;
  if (cell && table && document.getSelection()?.isCollapsed !== false) focusCell(table, cell, { preventScroll: true });
});

document.addEventListener("dblclick", (event) => {
  const cell = cellOf(event.target);
  if (cell) edit(cell);
});

// A cell comes back from its editor as a new element, a saved one with its whole row: neither the place in the grid
// must be lost nor the row's tick, and whoever has gone on already is left there.
let column = 0;
let width = 0;
let isTicked = false;

function isUnwanted(cell: HTMLTableCellElement, xhr: XMLHttpRequest): boolean {
  return new URL(xhr.responseURL || "about:blank").searchParams.has("edit") && !isDrafted(cell);
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = event as CustomEvent<{ xhr: XMLHttpRequest; shouldSwap: boolean }>;
  if (event.target instanceof HTMLTableCellElement && isUnwanted(event.target, detail.xhr)) detail.shouldSwap = false;
  if (event.target instanceof HTMLTableCellElement && detail.shouldSwap) handOver(event.target);
  const row = event.target instanceof HTMLElement ? event.target.closest("tr") : null;
  if (!row || !gridOf(row)) return;
  width = event.target instanceof HTMLTableCellElement ? event.target.getBoundingClientRect().width : 0;
  column = Math.max(0, Array.from(row.cells).findIndex((cell) => cell.classList.contains("is-editing")));
  isTicked = row.querySelector<HTMLInputElement>("input[name='key']")?.checked ?? false;
});

/** The ring around an editor where it goes beyond its cell, and the edge of the grid beside it. */
const RING = 4;

/** Brings an editor into sight. Sideways only its cell counts, whose text must not move; what is still cut moves over the grid. */
function showEditor(form: HTMLFormElement): void {
  const wrap = form.closest<HTMLElement>(".grid-wrap");
  if (wrap) {
    form.closest("td")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    const left = wrap.scrollLeft;
    form.scrollIntoView({ block: "nearest", inline: "nearest" });
    wrap.scrollLeft = left;
    const edges = wrap.getBoundingClientRect();
    const box = form.getBoundingClientRect();
    const cell = form.closest("td")?.getBoundingClientRect() ?? box;
    const farthest = box.right + (box.right > cell.right + 1 ? RING : 0);
    const nearest = box.left - (box.left < cell.left - 1 ? RING : 0);
    const over = Math.max(0, farthest - Math.min(edges.right, innerWidth)) - Math.max(0, edges.left - nearest);
    if (over !== 0) form.style.left = `${Math.round(form.offsetLeft - over)}px`;
  }
  finishDraft(form);
}

document.addEventListener("htmx:afterRequest", (event) => {
  const { target, failed } = (event as CustomEvent<{ target: Element; failed: boolean }>).detail;
  if (failed && isDrafted(target)) stopDraft(target);
});

document.addEventListener("htmx:afterSettle", (event) => {
  const table = gridOf(event.target);
  if (!table) return;
  if (event.target instanceof HTMLTableRowElement) {
    const tick = event.target.querySelector<HTMLInputElement>("input[name='key']");
    if (tick) tick.checked = isTicked;
  }
  const cell = event.target instanceof HTMLTableRowElement ? event.target.cells[column] : event.target;
  if (cell instanceof HTMLTableCellElement && cell.classList.contains("is-editing")) {
    cell.style.minWidth = `${width}px`; // the editor lies over the grid, whose columns stay where they are
    const form = cell.querySelector<HTMLFormElement>("form.cell-form");
    if (form) showEditor(form);
  }
  const isFree = document.activeElement === null || document.activeElement === document.body;
  if (isFree && cell instanceof HTMLTableCellElement && !cell.classList.contains("is-editing")) focusCell(table, cell);
});

// Where the reader is in the grid, when its rows are replaced: an undo changes nothing of it, another order the first row only.
interface Place {
  label: string;
  left: number;
  top: number;
  row: string | undefined;
  column: number;
}

let place: Place | null = null;

function findGrid(): HTMLElement | null {
  return document.querySelector<HTMLElement>(".grid-wrap");
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const wrap = findGrid();
  if (!wrap || !(event.target instanceof HTMLElement) || !["rows", "content"].includes(event.target.id)) return;
  const cell = wrap.querySelector<HTMLTableCellElement>(":is(td, th)[tabindex='0']");
  const isUndo = event.target.id === "content";
  place = {
    label: wrap.ariaLabel ?? "",
    left: wrap.scrollLeft,
    top: isUndo ? wrap.scrollTop : 0,
    row: isUndo && cell ? rowLinkOf(cell)?.pathname : undefined,
    column: cell?.cellIndex ?? 0,
  };
});

document.addEventListener("htmx:afterSettle", () => {
  const wrap = findGrid();
  const left = place;
  if (!left || !wrap || wrap.ariaLabel !== left.label) return;
  place = null;
  wrap.scrollTo(left.left, left.top);
  const link = Array.from(wrap.querySelectorAll<HTMLAnchorElement>(".row-link")).find((one) => one.pathname === left.row);
  const cell = link?.closest("tr")?.cells[left.column];
  const table = cell?.closest("table");
  if (!cell || !table || document.activeElement !== document.body) return;
  focusCell(table, cell, { preventScroll: true });
});
