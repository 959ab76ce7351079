// New rows of the inbox as they come; without it a reload shows the same.
"use strict";

const queue = document.getElementById("queue");
const template = document.getElementById("row");
const news = document.getElementById("news");
const isFirstPage = !new URLSearchParams(location.search).has("after");
let arrived = 0;
let announcing;

function announce() {
  arrived += 1;
  clearTimeout(announcing); // several at once are said once
  announcing = setTimeout(() => {
    news.textContent = arrived === 1 ? "One more turn waits for a review." : `${arrived} more turns wait for a review.`;
    arrived = 0;
  }, 1000);
}

function rowOf(data) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.turn = data.turn_id;
  row.dataset.risk = data.risk;
  for (const sign of data.signs) {
    const tag = document.createElement("span");
    tag.className = `tag ${sign.look}`;
    tag.textContent = sign.text;
    row.querySelector(".tags").append(tag);
  }
  row.querySelector(".place").textContent = data.place;
  row.querySelector(".confidence").textContent = data.confidence;
  row.querySelector("time").textContent = data.asked_at_text;
  row.querySelector("time").dateTime = data.asked_at;
  row.querySelector(".question a").href = data.conversation;
  row.querySelector(".question bdi").textContent = data.question;
  row.querySelector(".answer bdi").textContent = data.answer;
  row.querySelector("form").action = `/console/inbox/${encodeURIComponent(data.turn_id)}/open`;
  row.querySelector("button").setAttribute("aria-label", `Review: ${data.question}`);
  return row;
}

function insert(data) {
  if (!template || !isFirstPage) return;
  const known = [...queue.children].find((row) => row.dataset.turn === data.turn_id);
  if (known && Number(known.dataset.risk) === data.risk) return;
  known?.remove();
  const below = [...queue.children].find((row) => Number(row.dataset.risk) <= data.risk);
  queue.insertBefore(rowOf(data), below || null);
  document.getElementById("nothing").hidden = true;
  document.getElementById("next").hidden = false;
  announce();
}

document.addEventListener("live:review", ({ detail }) => insert(detail));
