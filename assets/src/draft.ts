/**
 * What is typed into a cell while its editor is on the way. A cell of plain text is a field at once, which the editor takes over;
 * for others the keys are kept. Enter saves when the editor has come, Escape stops it.
 */
import { isPlainClick, saveAndGo } from "./editor.js";

type TextField = HTMLInputElement | HTMLTextAreaElement;

interface Draft {
  cell: HTMLTableCellElement;
  field: TextField | null;
  first: string;
  typed: string;
  isDone: boolean;
  goal: string | null;
}

const drafts = new Map<Element, Draft>();
/** The one whose editor takes its place right now, and what has the focus then: the editor takes it. */
let arriving: Draft | undefined;
let focused: Element | null = null;

/** A key that writes a character. */
export function isPrinting(event: KeyboardEvent): boolean {
  return event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing;
}

/** The text of a cell whose value is shown whole, as it is; null for others. */
function plainTextOf(cell: HTMLTableCellElement): string | null {
  if (!cell.matches(".is-text, .is-number") || cell.querySelector(".cell-fold, .cell-note, a")) return null;
  if (cell.querySelector(".null")) return "";
  return Array.from(cell.childNodes, (node) => (node instanceof Text ? node.data : "")).join("");
}

function makeField(cell: HTMLTableCellElement, column: string, text: string, typed: string): TextField {
  const form = document.createElement("div");
  form.className = "cell-form";
  const field = document.createElement(cell.matches(".is-text") ? "textarea" : "input");
  field.className = "input";
  field.ariaLabel = column;
  field.autocomplete = "off";
  if (field instanceof HTMLTextAreaElement) field.rows = 1;
  field.value = typed || text;
  form.append(field);
  cell.style.minWidth = `${cell.getBoundingClientRect().width}px`;
  cell.classList.add("is-editing");
  cell.append(form);
  return field;
}

/** `typed` replaces what the cell holds. */
export function startDraft(cell: HTMLTableCellElement, column: string, typed: string): void {
  const text = plainTextOf(cell);
  const field = text === null ? null : makeField(cell, column, text, typed);
  const draft: Draft = { cell, field, first: text ?? "", typed, isDone: false, goal: null };
  drafts.set(cell, draft);
  if (!field) return;
  field.focus();
  if (!typed) field.select();
  field.addEventListener("blur", () => {
    if (arriving || !drafts.has(cell) || !document.hasFocus()) return;
    if (field.value === draft.first) stopDraft(cell);
    else draft.isDone = true;
  });
}

/** The cell is as it was; the editor that comes is not wanted any more. */
export function stopDraft(cell: Element): void {
  const stopped = drafts.get(cell);
  drafts.delete(cell);
  if (!stopped?.field) return;
  stopped.field.parentElement?.remove();
  stopped.cell.classList.remove("is-editing");
  stopped.cell.style.minWidth = "";
}

export function isDrafted(cell: Element): boolean {
  return drafts.has(cell);
}

/** Whether something was typed that no editor holds yet. */
export function hasUnsavedDraft(): boolean {
  const open = [...drafts.values(), ...(arriving ? [arriving] : [])];
  return open.some((draft) => (draft.field ? draft.field.value !== draft.first : draft.typed !== ""));
}

/** The editor of this cell is about to replace it. */
export function handOver(cell: Element): void {
  arriving = drafts.get(cell);
  focused = document.activeElement;
  drafts.delete(cell);
}

function write(field: Element | null, text: string): void {
  if (field instanceof HTMLSelectElement) {
    const option = Array.from(field.options).find((one) => one.text.toLowerCase().startsWith(text.toLowerCase()));
    if (option) option.selected = true;
  } else if (field instanceof HTMLInputElement && field.type !== "date") field.value = text;
}

function copyText(from: TextField, first: string, to: TextField): void {
  const [start, end] = [from.selectionStart, from.selectionEnd];
  if (from.value !== first) to.value = from.value;
  else if (start === 0 && end === first.length) return to.select();
  to.setSelectionRange(start, end);
}

/** Takes what was typed over into the editor that has come; without any, its value is selected. */
export function finishDraft(form: HTMLFormElement): void {
  const field = form.querySelector<TextField | HTMLSelectElement>("[name='v']");
  const isText = field instanceof HTMLTextAreaElement || (field instanceof HTMLInputElement && field.type !== "date");
  const done = arriving;
  arriving = undefined;
  if (done?.field && isText) copyText(done.field, done.first, field);
  else if (done?.typed) write(field, done.typed);
  else if (isText && !form.matches(".is-wide")) field.select();
  if (!done?.isDone) return;
  if (focused instanceof HTMLElement && focused.isConnected && focused.closest(".cell-form")) focused.focus(); // another's
  saveAndGo(form, done.goal);
}

document.addEventListener(
  "click",
  (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href]") : null;
    const draft = Array.from(drafts.values()).find((one) => one.isDone);
    if (!draft || !link || !isPlainClick(event, link)) return;
    draft.goal = link.href;
    event.preventDefault();
    event.stopPropagation();
  },
  { capture: true },
);

/** The draft that is written into. */
function findCurrent(): Draft | undefined {
  return Array.from(drafts.values()).find((one) => !one.isDone && (one.field ? one.field === document.activeElement : one.cell.contains(document.activeElement)));
}

document.addEventListener(
  "keydown",
  (event) => {
    const draft = findCurrent();
    if (!draft) return;
    if (event.key === "Escape") {
      stopDraft(draft.cell);
      draft.cell.focus();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) draft.isDone = true;
    else if (!draft.field && isPrinting(event)) draft.typed += event.key;
    else return;
    event.preventDefault();
    event.stopPropagation();
  },
  { capture: true },
);
