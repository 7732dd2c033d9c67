/** A link with data-dialog="<id>" opens that dialog of the page instead of going to its own page. */
import { onClick } from "./events.js";

onClick("[data-dialog]", (opener, event) => {
  const dialog = document.getElementById(opener.dataset["dialog"] ?? "");
  if (!(dialog instanceof HTMLDialogElement)) return;
  event.preventDefault();
  dialog.showModal();
});

onClick("dialog [data-dialog-close]", (closer, event) => {
  event.preventDefault();
  closer.closest("dialog")?.close();
});

onClick("dialog", (dialog, event) => {
  if (event.target === dialog && isOutside(dialog, event)) (dialog as HTMLDialogElement).close();
});

function isOutside(dialog: HTMLElement, event: MouseEvent): boolean {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}
