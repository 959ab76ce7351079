// Shows, while a question is written, what a customer would find for it. Without this script a button of the form does.
const WAIT = 350; // milliseconds without a key before the server is asked

const question = document.querySelector("[data-preview]");
const preview = document.querySelector("#preview");
let timer, asked;

function line(hit) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/console/knowledge/passage?id=${encodeURIComponent(hit.passage_id)}`;
  link.append(isolated(hit.title));
  const chance = document.createElement("span");
  chance.className = "chance";
  const meter = document.createElement("meter");
  meter.value = hit.chance;
  meter.ariaHidden = "true";
  chance.append(meter, ` ${Math.round(hit.chance * 100)} %`);
  const excerpt = document.createElement("p");
  excerpt.className = "excerpt";
  excerpt.append(isolated(hit.text.length > 240 ? `${hit.text.slice(0, 240)}…` : hit.text));
  item.append(link, " ", chance, excerpt);
  return item;
}

function isolated(text) {
  const part = document.createElement("bdi");
  part.textContent = text;
  return part;
}

function said(text) {
  const part = document.createElement("p");
  part.className = "soft";
  part.textContent = text;
  return part;
}

function show(found) {
  if (!found.can_find) return; // the page says so already
  const list = document.createElement("ol");
  list.className = "hits";
  list.append(...found.hits.map(line));
  preview.replaceChildren(found.hits.length ? list : said("Nothing is found."));
}

async function look() {
  asked?.abort();
  asked = new AbortController();
  preview.ariaBusy = "true";
  try {
    const address = `${question.dataset.preview}?q=${encodeURIComponent(question.value.slice(0, 1000))}`;
    const answer = await fetch(address, { signal: asked.signal, headers: { accept: "application/json" } });
    if (answer.status === 401) preview.replaceChildren(said("Your session is over. Sign in again in another tab; what you wrote stays here."));
    else if (answer.ok) show(await answer.json());
    else preview.replaceChildren(said("What is found cannot be shown at the moment."));
    preview.ariaBusy = "false";
  } catch (error) {
    if (error.name === "AbortError") return; // a newer question is on its way
    preview.replaceChildren(said("The server cannot be reached."));
    preview.ariaBusy = "false";
  }
}

if (question && preview) {
  question.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });
  if ("atOnce" in preview.dataset) look();
}
