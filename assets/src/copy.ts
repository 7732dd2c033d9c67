/** A button with data-copy="<id>" copies the text of that element and says so. */
import { onClick } from "./events.js";
import { showToast } from "./toast.js";

const SAID_FOR_MS = 1600;

onClick("[data-copy]", async (button) => {
  const source = document.getElementById(button.dataset["copy"] ?? "");
  const words = button.querySelector("[data-copy-text]");
  if (!source || !words) return;
  try {
    await navigator.clipboard.writeText(source.textContent ?? "");
  } catch {
    getSelection()?.selectAllChildren(source);
    showToast("The browser did not allow copying. The text is selected, so copy it with the keyboard.", "warn");
    return;
  }
  words.textContent = "Copied";
  setTimeout(() => (words.textContent = "Copy"), SAID_FOR_MS);
});
