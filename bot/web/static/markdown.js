// Draws the Markdown of an answer as elements. Text only ever becomes text nodes, so nothing in an answer can run or load.

const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|\*([^*\s][^*]*?)\*|\[(\d{1,2})\](?!\()|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|<(https?:\/\/[^\s>]+)>|(https?:\/\/[^\s<>"'`\]]*[^\s<>"'`\].,;:!?)])|\\([\\`*_\[\]()<>#-])/;

export function draw(markdown, target, onMark) {
  target.replaceChildren(...blocks(markdown.replace(/\r/g, "").split("\n"), onMark));
}

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function link(url, ...children) {
  const node = element("a", ...children);
  node.href = url;
  node.rel = "noopener noreferrer nofollow";
  node.target = "_blank";
  return node;
}

function inline(text, onMark) {
  const nodes = [];
  for (let found = INLINE.exec(text); found; found = INLINE.exec(text)) {
    nodes.push(text.slice(0, found.index), ...piece(found, onMark));
    text = text.slice(found.index + found[0].length);
  }
  return [...nodes, text];
}

function piece([whole, , code, strong, weak, mark, label, url, angled, bare, escaped], onMark) {
  if (code !== undefined) return [element("code", code)];
  if (strong !== undefined) return [element("strong", ...inline(strong, onMark))];
  if (weak !== undefined) return [element("em", ...inline(weak, onMark))];
  if (mark !== undefined) return onMark ? [onMark(Number(mark))] : [whole];
  if (label !== undefined) return [link(url, label, label === url ? "" : ` (${new URL(url).host})`)];
  if (angled !== undefined || bare !== undefined) return [link(angled ?? bare, angled ?? bare)];
  return [escaped];
}

function lines(texts, onMark) {
  return texts.flatMap((text, index) => (index ? [document.createElement("br"), ...inline(text, onMark)] : inline(text, onMark)));
}

function take(rest, test) {
  const taken = [];
  while (rest.length && test(rest[0], taken.length)) taken.push(rest.shift());
  return taken;
}

const ITEM = /^\s{0,3}(?:[-*+]|(\d{1,3})[.)])\s+/;

function blocks(rest, onMark) {
  const nodes = [];
  rest = [...rest];
  while (rest.length) {
    if (!rest[0].trim()) {
      rest.shift();
    } else if (/^\s{0,3}```/.test(rest[0])) {
      const fence = rest.shift().trim().match(/^`+/)[0];
      const code = take(rest, (line) => !line.trim().startsWith(fence));
      rest.shift();
      nodes.push(element("pre", element("code", code.join("\n"))));
    } else if (/^#{1,6}\s/.test(rest[0])) {
      nodes.push(element("h2", ...inline(rest.shift().replace(/^#+\s*/, ""), onMark)));
    } else if (/^>/.test(rest[0])) {
      const quoted = take(rest, (line) => /^>/.test(line)).map((line) => line.replace(/^>\s?/, ""));
      nodes.push(element("blockquote", ...blocks(quoted, onMark)));
    } else if (ITEM.test(rest[0])) {
      nodes.push(list(rest, onMark));
    } else {
      nodes.push(element("p", ...lines(take(rest, (line, n) => line.trim() && (!n || !/^(\s{0,3}```|#{1,6}\s|>)/.test(line)) && (!n || !ITEM.test(line))), onMark)));
    }
  }
  return nodes;
}

function list(rest, onMark) {
  const start = rest[0].match(ITEM)[1];
  const node = element(start === undefined ? "ul" : "ol");
  if (start !== undefined) node.start = Number(start);
  while (rest.length && ITEM.test(rest[0])) {
    const first = rest.shift().replace(ITEM, "");
    const more = take(rest, (line) => /^\s{2,}\S/.test(line) || (!line.trim() && /^\s{2,}\S/.test(rest[1] ?? "")));
    const inner = blocks([first, ...more.map((line) => line.replace(/^\s{2,4}/, ""))], onMark);
    node.append(element("li", ...(inner.length === 1 && inner[0].tagName === "P" ? inner[0].childNodes : inner)));
    while (rest.length && !rest[0].trim() && ITEM.test(rest[1] ?? "")) rest.shift();
  }
  return node;
}
