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
  minute: Intl.DateTimeFormat;
  day: Intl.DateTimeFormat;
}

let formats: Formats | null = null;

/** They take a while to make, so a page without times does not. */
function useFormats(): Formats {
  formats ??= {
    relative: new Intl.RelativeTimeFormat("en", { numeric: "auto" }),
    absolute: new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" }),
    clock: new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }),
    minute: new Intl.DateTimeFormat("en-GB", { timeStyle: "short" }),
    day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" }),
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

/** "today", "yesterday" or the date. */
function nameDay(when: Date, now: Date): string {
  const ages = new Map([[0, "today"], [1, "yesterday"]]);
  for (const [age, name] of ages) {
    const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() - age);
    if (day.toDateString() === when.toDateString()) return name;
  }
  return `${useFormats().day.format(when)},`;
}

function show(kind: string | undefined, when: Date, now: Date): string {
  if (kind === "clock") return useFormats().clock.format(when);
  if (kind === "day") return `${nameDay(when, now)} ${useFormats().minute.format(when)}`;
  if (kind === "day-second") return `${nameDay(when, now)} ${useFormats().clock.format(when)}`;
  return describe(when, now);
}

function localise(part: Element): void {
  const now = new Date();
  for (const time of within<HTMLTimeElement>(part, "time[data-moment]")) {
    const when = new Date(time.dateTime);
    time.title = useFormats().absolute.format(when);
    const text = show(time.dataset["moment"], when, now);
    if (time.textContent !== text) time.textContent = text;
  }
}

onArrival(localise);
setInterval(() => localise(document.body), REFRESH_MS);
