// Building elements. Text arrives as textContent only, so nothing that a model writes can run.

export const $ = (id) => document.getElementById(id);

export function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function button(text, act, className = "quiet") {
  const node = el("button", className, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

// Show `items`, each `[key, make]`, as the children of `list`. What has the key of before stays the node
// that it was: a press and its release are a click only if they meet the same node.
export function keep(list, items) {
  const before = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map(([key, make]) => before.get(key) ?? make());
  nodes.forEach((node, place) => { node.dataset.key = items[place][0]; });
  const staying = new Set(nodes);
  for (const node of [...list.children]) if (!staying.has(node)) node.remove();
  nodes.forEach((node, place) => {
    if (list.children[place] !== node) list.insertBefore(node, list.children[place] ?? null);
  });
  return nodes;
}

// Show what `make` returns in `node`, unless that is there already: else an open list would close, and a
// button vanish between press and release. `key` says what is shown.
export function redraw(node, key, make) {
  if (node.dataset.drawn === key) return;
  node.dataset.drawn = key;
  node.replaceChildren(...make());
}

const ANCHOR = /<a\s[^>]*?href=["']([^"']+)["'][^>]*>([^<]*)<\/a>|(https?:\/\/[^\s<>"'，。；！？）】]+)/gi;

// What WeChat shows of a text: plain, but for links. Only http and https become links.
export function richText(text) {
  const parts = document.createDocumentFragment();
  let from = 0;
  for (const match of text.matchAll(ANCHOR)) {
    const link = safeLink(match[1] ?? match[3], match[2] ?? match[3]);
    parts.append(text.slice(from, match.index), link);
    from = match.index + match[0].length;
  }
  parts.append(text.slice(from));
  return parts;
}

function safeLink(address, label) {
  let url;
  try { url = new URL(address); } catch { return label; }
  if (url.protocol !== "http:" && url.protocol !== "https:") return label;
  const link = el("a", "", label);
  link.href = url.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  return link;
}

const HUES = [152, 28, 205, 262, 340, 48, 178];

// The last character: Chinese nicknames differ there, in 小鹊 and 小明.
export function avatar(name, index) {
  const tile = el("span", "avatar", [...name].at(-1) ?? "?");
  tile.style.setProperty("--hue", HUES[index % HUES.length]);
  return tile;
}

export function accountAvatar(index) {
  const picture = el("img");
  picture.src = "magpie.svg";
  picture.alt = "";
  const tile = el("span", "avatar bird", picture);
  tile.style.setProperty("--hue", HUES[index % HUES.length]);
  return tile;
}
