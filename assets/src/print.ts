/** A button with data-print prints the page; without script the browser's own menu does the same. */
import { onClick } from "./events.js";

onClick("[data-print]", () => print());
