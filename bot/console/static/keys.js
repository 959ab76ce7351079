// j and k: the next and the previous item of a queue; in a conversation that is reviewed, the buttons that say so. Never while typing.
"use strict";

function typing(target) {
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName);
}

function move(step) {
  const stops = [...document.querySelectorAll("#queue .item")].map((item) => item.querySelector(".go") || item.querySelector("a"));
  const here = stops.findIndex((stop) => stop.closest(".item").contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : stops.length - 1) : Math.min(Math.max(here + step, 0), stops.length - 1);
  stops[next]?.focus();
  stops[next]?.closest(".item").scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || typing(event.target)) return;
  if (event.key !== "j" && event.key !== "k") return;
  const button = document.querySelector(`button[data-key="${event.key}"]`);
  if (button) button.click();
  else move(event.key === "j" ? 1 : -1);
});
