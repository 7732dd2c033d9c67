import "htmx.org";

import "./autosubmit.js";
import "./checking.js";
import "./checklist.js";
import "./confirm.js";
import "./connect.js";
import "./copy.js";
import "./dialog.js";
import "./docs.js";
import "./editor.js";
import "./failures.js";
import "./filter.js";
import "./grid.js";
import "./live.js";
import "./palette.js";
import "./passkeys.js";
import "./poll.js";
import "./print.js";
import "./reveal.js";
import "./shortcuts.js";
import "./steps.js";
import "./theme.js";
import "./tick.js";
import "./toast.js";
import "./times.js";
import "./unsaved.js";

document.documentElement.dataset["script"] = "";
