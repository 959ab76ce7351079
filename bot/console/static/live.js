// Tells the page what is new as it comes: the counts of the navigation here, the rest to whoever listens for "live:...".
// A hidden tab does not listen: browsers open few connections to one server. It catches up when it is looked at again.
"use strict";

const AGAIN = 30_000; // milliseconds after the server has refused
const over = document.getElementById("over");
let source, heard, waiting;

function tell(event) {
  heard = event.lastEventId || heard;
  document.dispatchEvent(new CustomEvent(`live:${event.type}`, { detail: JSON.parse(event.data) }));
}

function hush() {
  clearTimeout(waiting);
  source?.close();
  source = undefined;
}

function listen() {
  hush();
  source = new EventSource(`/console/live${heard ? `?after=${heard}` : ""}`);
  for (const name of ["counts", "review"]) source.addEventListener(name, tell);
  source.addEventListener("over", () => {
    hush();
    over.hidden = false;
  });
  source.addEventListener("error", () => {
    if (source?.readyState === EventSource.CLOSED) waiting = setTimeout(listen, AGAIN);
  });
}

document.addEventListener("live:counts", ({ detail }) => {
  for (const [name, count] of Object.entries(detail)) {
    for (const place of document.querySelectorAll(`[data-count="${CSS.escape(name)}"]`)) {
      place.textContent = count;
      place.closest(".waits")?.toggleAttribute("hidden", count === "0");
    }
  }
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hush();
  else if (over.hidden) listen();
});
if (!document.hidden) listen();
