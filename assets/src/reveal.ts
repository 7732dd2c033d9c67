/** A button with data-reveal="<id>" shows and hides what was typed into that secret field. */
import { onClick } from "./events.js";

onClick("[data-reveal]", (button) => {
  const field = document.getElementById(button.dataset["reveal"] ?? "");
  const word = button.querySelector("span");
  if (!(field instanceof HTMLInputElement) || !word) return;
  const show = field.type === "password";
  field.type = show ? "text" : "password";
  word.textContent = show ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(show));
});

// A revealed secret must not stay in the browser's list of typed texts.
document.addEventListener("submit", (event) => {
  if (!(event.target instanceof HTMLFormElement)) return;
  for (const button of event.target.querySelectorAll<HTMLElement>("[data-reveal][aria-pressed='true']")) button.click();
});
