// What is inside a bubble: text, pictures, menus, articles and cards.
import { button, el, richText } from "./dom.js";
import { word } from "./words.js";

const SOUND = /^audio\//;

// The page shows media by their path alone: another host would be refused by its own policy.
function picture(medium) {
  const image = el("img", "photo");
  image.src = medium.path;
  image.alt = word("photo");
  image.loading = "lazy";
  return image;
}

function sound(medium) {
  const link = el("a", "sound", `▶ ${word("recording")}`);
  link.href = medium.path;
  link.download = "";
  link.title = medium.mime;
  return link;
}

function medium(shown) {
  if (shown.mime.startsWith("image/")) return picture(shown);
  if (SOUND.test(shown.mime)) return sound(shown);
  const link = el("a", "sound", `⬇ ${shown.kind}`);
  link.href = shown.path;
  link.download = "";
  return link;
}

function menu(content, choose) {
  const items = content.items.map((item) =>
    button(item.content, (event) => { event.stopPropagation(); choose(item.id || item.content); }, "item"));
  return el("div", "msgmenu", content.head && el("p", "", content.head), ...items, content.tail && el("p", "tail", content.tail));
}

function article(one) {
  const title = el("b", "", one.title ?? "");
  const text = el("small", "", one.description ?? "");
  const card = el("div", "article", title, text);
  if (one.url) card.append(el("small", "", richText(one.url)));
  return card;
}

function card(content, text) {
  const { title, description, pagepath, url } = content.card;
  return article({ title: title || text, description: description || pagepath, url });
}

// The inside of a bubble; `choose(id)` is called when an item of a menu is tapped.
export function inside(entry, choose) {
  const content = entry.content ?? {};
  if (content.media) return medium(content.media);
  if (content.items?.length) return menu(content, choose);
  if (content.articles?.length) return el("div", "articles", ...content.articles.map(article));
  if (content.card) return card(content, entry.text);
  if (content.pictures?.length) return el("div", "", richText(entry.text), ...content.pictures.map(picture));
  return richText(entry.text);
}

// What stands under a bubble: who wrote it, and how its stream is doing.
export function marks(entry) {
  const content = entry.content ?? {};
  const running = entry.kind === "stream" && !content.finish && !content.cut;
  return [
    entry.ai && word("aiMark"),
    content.agent && word("byAgent", content.agent),
    content.cut && word("cut"),
    running && word("writing"),
    content.rewrites > 0 && word("rewrites", content.rewrites),
  ].filter(Boolean);
}
