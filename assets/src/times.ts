/** Puts times into the reader's own zone and words; the server's text in UTC stands where this does not run. */
import { onArrival, within } from "./events.js";

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const REFRESH_MS = 60_000;

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function describe(when: Date, now: Date): string {
  const seconds = (when.getTime() - now.getTime()) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

function localise(part: Element): void {
  const now = new Date();
  for (const time of within<HTMLTimeElement>(part, "time[data-moment]")) {
    const when = new Date(time.dateTime);
    time.title = absolute.format(when);
    time.textContent = time.dataset["moment"] === "clock" ? clock.format(when) : describe(when, now);
  }
}

onArrival(localise);
setInterval(() => localise(document.body), REFRESH_MS);
