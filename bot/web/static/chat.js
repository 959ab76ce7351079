// The chat page: sends a question, shows the answer while it is written, then the reply that counts.

import { draw } from "./markdown.js";

const STORE = "frontdesk-chat";
const log = document.querySelector("#log");
const form = document.querySelector("#composer");
const field = document.querySelector("#question");
const send = document.querySelector("#send");
let state = restore();
let busy = false;

function restore() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORE));
    if (Array.isArray(stored?.messages)) return stored;
  } catch { /* nothing usable is stored */ }
  return { conversationId: null, messages: [], follows: false, seen: 0 };
}

function remember(message) {
  state.messages.push(message);
  try {
    sessionStorage.setItem(STORE, JSON.stringify(state));
  } catch { /* storage is full or off: the chat goes on without */ }
}

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  Object.assign(node, attributes);
  node.append(...children);
  return node;
}

function append(node) {
  log.append(node);
  log.scrollTop = log.scrollHeight;
  return node;
}

function showQuestion(text) {
  append(element("div", { className: "message mine", dir: "auto" }, text));
}

function bubble() {
  const text = element("div", { className: "text waiting", dir: "auto" }, "Looking it up");
  const node = element("div", { className: "message bot" }, element("div", { className: "who" }, "Frontdesk · AI"), text);
  append(node);
  return { node, text };
}

function showReply({ node, text }, reply) {
  const cards = reply.decision === "clarify" ? [] : reply.citations.map(card);
  text.classList.remove("waiting");
  node.hidden = reply.decision === "silent";
  node.classList.toggle("handoff", reply.decision === "handoff");
  draw(reply.decision === "clarify" && reply.citations.length ? reply.text.split("\n\n")[0] : reply.text, text, (number) => mark(number, cards));
  if (reply.decision === "clarify" && reply.citations.length) node.append(choices(reply.citations));
  if (cards.length) node.append(element("div", { className: "sources" }, element("h2", {}, cards.length === 1 ? "Source" : "Sources"), ...cards));
  log.scrollTop = log.scrollHeight;
}

function mark(number, cards) {
  const card = cards[number - 1];
  if (!card) return `[${number}]`;
  const button = element("button", { type: "button", className: "mark" }, `[${number}]`);
  button.setAttribute("aria-label", `Source ${number}`);
  button.addEventListener("click", () => {
    card.open = true;
    card.querySelector("summary").focus();
  });
  return button;
}

function card(citation, index) {
  const body = element("div", { className: "text", dir: "auto" });
  const details = element("details", {}, element("summary", { dir: "auto" }, `[${index + 1}] ${citation.title}`), body);
  details.addEventListener("toggle", () => details.open && !body.hasChildNodes() && showPassage(citation, body));
  return details;
}

async function showPassage(citation, body) {
  body.textContent = "Loading…";
  try {
    const response = await fetch(`/api/passage?id=${encodeURIComponent(citation.passage_id)}`);
    const passage = await response.json();
    draw(response.ok ? passage.text : passage.error.message, body);
  } catch {
    body.textContent = "This source cannot be loaded now.";
  }
  if (citation.url && /^https?:\/\//.test(citation.url)) {
    body.append(element("p", {}, element("a", { href: citation.url, target: "_blank", rel: "noopener noreferrer" }, citation.url)));
  }
}

function choices(citations) {
  const node = element("div", { className: "choices" });
  for (const citation of citations) {
    const button = element("button", { type: "button", className: "quiet", dir: "auto" }, citation.title);
    button.addEventListener("click", () => ask(citation.title));
    node.append(button);
  }
  return node;
}

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function showFailure({ node, text }, message, question, messageId) {
  text.classList.remove("waiting");
  node.classList.add("handoff");
  text.textContent = message;
  const again = element("button", { type: "button", className: "quiet" }, "Try again");
  again.addEventListener("click", () => ask(question, messageId)); // the same id: if it was accepted after all, its answer comes
  node.append(element("div", { className: "choices" }, again));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    buffer += chunk.value.replace(/\r\n?/g, "\n");
    const parts = buffer.split("\n\n");
    buffer = parts.pop();
    for (const part of parts) {
      const fields = part.split("\n");
      const data = fields.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      const name = fields.find((line) => line.startsWith("event:"))?.slice(6).trim();
      if (data) yield { name, data: JSON.parse(data) };
    }
  }
}

async function receive(question, messageId, shown) {
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: question, conversation_id: state.conversationId, message_id: messageId }),
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let preview = "";
  for await (const { name, data } of events(response)) {
    if (name === "token") {
      preview += data.text;
      shown.text.classList.remove("waiting");
      draw(preview, shown.text);
      log.scrollTop = log.scrollHeight;
    } else if (name === "reply") {
      state.conversationId = data.conversation_id;
      return data;
    } else if (name === "error") {
      throw new Error(data.message);
    }
  }
  throw new Error("The connection broke before the answer was complete.");
}

// Once a person is asked for, what they say comes without a question: one call after the other waits for it.
let followed = null;
async function follow() {
  const conversationId = state.conversationId;
  if (!state.follows || !conversationId || followed === conversationId) return;
  followed = conversationId;
  while (state.conversationId === conversationId) {
    try {
      const after = state.seen ?? 0;
      const response = await fetch(`/api/updates?conversation_id=${encodeURIComponent(conversationId)}&after=${after}`);
      if (!response.ok) throw new Error(String(response.status));
      const { updates } = await response.json();
      if (state.conversationId !== conversationId) break;
      for (const update of updates) {
        state.seen = update.number;
        showUpdate(update);
        remember({ update });
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
  }
  if (followed === conversationId) followed = null;
}

function showUpdate({ text, by_person }) {
  const said = element("div", { className: "text", dir: "auto" });
  draw(text, said);
  const who = by_person ? "A person on our team" : "Frontdesk";
  append(element("div", { className: by_person ? "message bot person" : "message bot" }, element("div", { className: "who" }, who), said));
}

async function ask(question, messageId = newId()) {
  if (busy || !question.trim()) return;
  setBusy(true);
  document.querySelector("#suggestions")?.remove();
  showQuestion(question);
  remember({ question });
  const shown = bubble();
  try {
    const reply = await receive(question, messageId, shown);
    showReply(shown, reply);
    state.follows ||= reply.decision === "handoff" || reply.decision === "silent";
    remember({ reply });
    follow();
  } catch (error) {
    const message = error instanceof TypeError ? "We cannot be reached right now. Check your connection and try again." : error.message;
    showFailure(shown, message, question, messageId);
  } finally {
    setBusy(false);
    field.focus();
  }
}

function setBusy(value) {
  busy = value;
  send.disabled = value;
  log.setAttribute("aria-busy", String(value));
}

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}

async function welcome() {
  append(element("div", { className: "message bot" }, element("div", { className: "who" }, "Frontdesk · AI"), element("div", { className: "text" }, "Hello! What would you like to know?")));
  try {
    const { suggestions, model } = await (await fetch("/api/welcome")).json();
    if (model === "extractive") {
      document.querySelector("#notice").append(" No language model runs here: answers quote the help articles.");
    }
    if (!suggestions.length || state.messages.length) return;
    const node = choices(suggestions.map((title) => ({ title })));
    node.id = "suggestions";
    append(node);
  } catch { /* the page works without suggestions */ }
}

function replay() {
  for (const { question, reply, update } of state.messages) {
    if (question !== undefined) showQuestion(question);
    if (reply !== undefined) showReply(bubble(), reply);
    if (update !== undefined) showUpdate(update);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (busy) return;
  const question = field.value;
  field.value = "";
  grow();
  ask(question);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
field.addEventListener("input", grow);
document.querySelector("#person").addEventListener("click", () => ask("I would like to talk to a person, please."));
document.querySelector("#fresh").addEventListener("click", () => {
  if (busy) return;
  state = { conversationId: null, messages: [], follows: false, seen: 0 };
  sessionStorage.removeItem(STORE);
  log.replaceChildren();
  welcome();
  field.focus();
});

await welcome();
replay();
follow();
field.focus();
