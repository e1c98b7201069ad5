// The phone: one chat, as its user sees it.
import { $, accountAvatar, avatar, el, keep } from "./dom.js";
import { inside, marks } from "./messages.js";
import { isChinese, word } from "./words.js";

const STAMP_AFTER = 300; // seconds of silence before WeChat shows the time again

const clockTime = (at) =>
  new Date(at * 1000).toLocaleTimeString("zh-CN", { hour: "2-digit", minute: "2-digit", hour12: false });

export function eventText(entry, user) {
  const [name, ...rest] = entry.text.split(" ");
  const key = { subscribe: "followed", unsubscribe: "unfollowed", CLICK: "clicked", SCAN: "scanned",
    user_enter_tempsession: "entered", enter_session: "entered", enter_chat: "entered" }[name];
  return key ? word(key, user, rest.join(" ")) : word("happened", user, entry.text);
}

function bubble(entry, faces, choose) {
  const mine = entry.who === "user";
  const text = el("div", `bubble ${entry.content?.media ? "medium" : ""}`.trim(), inside(entry, choose));
  const body = el("div", "body", text, ...marks(entry).map((mark) => el("small", "ai", mark)));
  const face = mine ? avatar(faces.user, faces.userIndex) : accountAvatar(faces.accountIndex);
  return el("li", `row ${mine ? "mine" : "theirs"}`, face, body);
}

function row(entry, faces, choose) {
  if (entry.kind === "event") return el("li", "note", eventText(entry, faces.user));
  if (entry.who === "platform") return el("li", "note error", entry.text);
  return bubble(entry, faces, choose);
}

// Draw all entries; `pick(entry)` is called when one is selected, `choose(id)` for a menu's item.
export function drawChat(entries, faces, selected, pick, choose) {
  const list = $("chat");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const rows = [];
  let last = -Infinity;
  for (const entry of entries) {
    if (entry.at - last > STAMP_AFTER) rows.push([`stamp ${entry.at}`, () => el("li", "stamp", clockTime(entry.at))]);
    last = entry.at;
    rows.push([JSON.stringify([isChinese(), faces, entry]), () => pickable(row(entry, faces, choose), entry, pick)]);
  }
  for (const node of keep(list, rows)) node.classList.toggle("selected", node.dataset.id === String(selected));
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function pickable(node, entry, pick) {
  node.dataset.id = entry.id;
  node.addEventListener("click", () => pick(entry));
  return node;
}

let typingEnds = 0;

export function drawTitle(account, typingFor) {
  clearTimeout(typingEnds);
  $("chat-title").textContent = typingFor > 0 ? word("typing") : account.name;
  if (typingFor > 0) typingEnds = setTimeout(() => drawTitle(account, 0), typingFor * 1000);
}

// WeCom's accounts have other ways to send than customer-service messages.
export function kindOf(account) {
  if (account.kind.startsWith("wecom")) return word(account.kind);
  return `${word(account.kind)} · ${word(account.may_send ? "canSend" : "passiveOnly")}`;
}

export function drawFollow(account, user) {
  $("follow").hidden = user.subscribed;
  $("composer").hidden = !user.subscribed;
  $("follow-name").textContent = account.name;
  $("follow-kind").textContent = kindOf(account);
}

export function drawPhoneTime() {
  $("phone-time").textContent = clockTime(Date.now() / 1000);
}
