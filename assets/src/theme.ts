/** Turns day to night and back. A choice that equals the system's is forgotten, so that the page follows it again. */
import { onClick } from "./events.js";

const COOKIE = "basewarden.theme";
const YEAR = 365 * 24 * 60 * 60;

type Theme = "light" | "dark";

function systemTheme(): Theme {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function keepChoice(theme: Theme | null): void {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const age = theme ? YEAR : 0;
  document.cookie = `${COOKIE}=${theme ?? ""}; Path=/; Max-Age=${age}; SameSite=Lax${secure}`;
}

export function toggleTheme(): void {
  const root = document.documentElement;
  const current = root.dataset["theme"] ?? systemTheme();
  const next: Theme = current === "dark" ? "light" : "dark";
  const choice = next === systemTheme() ? null : next;
  if (choice) root.dataset["theme"] = choice;
  else delete root.dataset["theme"];
  keepChoice(choice);
}

onClick("[data-theme-toggle]", toggleTheme);
