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

interface Formats {
  relative: Intl.RelativeTimeFormat;
  absolute: Intl.DateTimeFormat;
  clock: Intl.DateTimeFormat;
}

let formats: Formats | null = null;

/** They take a while to make, so a page without times does not. */
function useFormats(): Formats {
  formats ??= {
    relative: new Intl.RelativeTimeFormat("en", { numeric: "auto" }),
    absolute: new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" }),
    clock: new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }),
  };
  return formats;
}

function describe(when: Date, now: Date): string {
  const seconds = (when.getTime() - now.getTime()) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return useFormats().relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

function localise(part: Element): void {
  const now = new Date();
  for (const time of within<HTMLTimeElement>(part, "time[data-moment]")) {
    const when = new Date(time.dateTime);
    time.title = useFormats().absolute.format(when);
    const text = time.dataset["moment"] === "clock" ? useFormats().clock.format(when) : describe(when, now);
    if (time.textContent !== text) time.textContent = text;
  }
}

onArrival(localise);
setInterval(() => localise(document.body), REFRESH_MS);
