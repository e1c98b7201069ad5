// The page: who chats with whom, and redrawing when the simulator says that something changed.
import { drawChat, drawFollow, drawPhoneTime, drawTitle, kindOf } from "./chat.js";
import { control, onChange } from "./control.js";
import { $, accountAvatar, avatar, button, el, keep, redraw } from "./dom.js";
import { drawCalls, drawFaults, drawFacts, questionOf } from "./inspector.js";
import { drawMenu } from "./menubar.js";
import { isChinese, switchLanguage, translate, word } from "./words.js";

const SHOWN_USERS = 30;
const QUICK_PAUSE = 250; // ms between two quick messages

const page = { notice: {}, accounts: [], users: [], account: 0, user: "", state: null, selected: null, unread: new Set(), faults: [] };

const account = () => page.accounts[page.account];
const userIndex = () => Math.max(0, page.users.findIndex((user) => user.name === page.user));
// For what is asked for again and again: whether an answer is newer than what is shown already.
function inOrder() {
  let asked = 0, shown = 0;
  return () => {
    const mine = (asked += 1);
    return () => mine > shown && Boolean(shown = mine);
  };
}

const conversations = inOrder();
const casts = inOrder();
const chatKey = (id, user) => `${id}/${user}`;

function drawPeople(list, people) {
  keep($(list), people.map((one, index) => [JSON.stringify([index, one]), () => personRow(...one)]));
}

function personRow(face, title, subtitle, current, unread, choose) {
  const row = button("", choose, `person${current ? " current" : ""}`);
  row.append(face(), el("span", "names", el("b", "", title), el("small", "", subtitle)));
  if (unread) row.append(el("i", "unread"));
  if (current) row.setAttribute("aria-current", "true");
  return el("li", "", row);
}

function option(value, text, chosen) {
  const node = el("option", "", text);
  node.value = value;
  node.selected = chosen;
  return node;
}

function drawOptions(list, options) {
  redraw($(list), JSON.stringify(options), () => options.map((one) => option(...one)));
}

function drawCast() {
  const users = page.users.slice(0, SHOWN_USERS);
  drawPeople("accounts", page.accounts.map((one, index) =>
    [() => accountAvatar(index), one.name, kindOf(one), index === page.account, false, () => choose(index, page.user)]));
  drawPeople("users", users.map((user, index) =>
    [() => avatar(user.name, index), user.name, user.openid.slice(0, 12) + "…", user.name === page.user,
      page.unread.has(chatKey(account().id, user.name)), () => choose(page.account, user.name)]));
  const accounts = page.accounts.map((one, index) => [index, one.name, index === page.account]);
  drawOptions("pick-account", accounts);
  drawOptions("pick-user", users.map((user) => [user.name, user.name, user.name === page.user]));
}

function drawConversation() {
  if (!page.state) return; // another chat was chosen: it is drawn when it has come
  const { entries, user } = page.state;
  const faces = { user: user.name, userIndex: userIndex(), accountIndex: page.account };
  drawTitle(account(), user.typing_for);
  drawFollow(account(), user);
  drawChat(entries, faces, page.selected, (entry) => {
    page.selected = entry.id;
    drawConversation();
    document.body.classList.add("inspecting");
  }, (item) => control.choose(account().id, page.user, item));
  drawMenu(account().menu, (button) => control.tap(account().id, page.user, button));
  drawAgent(user.agent);
  drawFacts(page.state, account(), page.selected);
}

async function loadConversation() {
  const [id, user, isNews] = [account().id, page.user, conversations()];
  const state = await control.conversation(id, user);
  if (id !== account().id || user !== page.user || !isNews()) return; // chosen otherwise meanwhile
  const question = questionOf(state.entries, state.entries.at(-1));
  const before = page.state?.entries.at(-1)?.id;
  if (state.entries.at(-1)?.id !== before) page.selected = question?.id ?? null;
  page.state = state;
  drawConversation();
}

function drawAgent(agent) {
  $("agent").hidden = !agent;
  $("agent-name").textContent = agent ? word("byAgent", agent) : "";
}

async function loadCast() {
  const [index, user, isNews] = [page.account, page.user, casts()];
  const { accounts } = await control.about();
  const users = await control.users(accounts[index].id);
  if (index !== page.account || user !== page.user || !isNews()) return; // whoever chose loads anew
  page.accounts = accounts;
  page.users = users;
  if (!users.some((one) => one.name === user)) page.user = users[0]?.name ?? "";
  drawCast();
}

async function loadFaults() {
  page.faults = await control.faults();
  drawFaults(page.faults, (index) => setFaults(page.faults.filter((_, other) => other !== index)));
}

async function setFaults(faults) {
  await control.setFaults(faults);
  await loadFaults();
}

async function loadCalls() {
  if ($("calls").open) drawCalls(await control.calls(account().id));
}

async function choose(index, user) {
  page.account = index;
  page.user = user;
  page.state = null;
  page.selected = null;
  page.unread.delete(chatKey(account().id, user));
  await loadCast();
  drawActions();
  await loadConversation();
  $("chat").scrollTop = $("chat").scrollHeight;
  await loadCalls();
}

const wanted = new Set();
let pending = 0;

// What changed within a moment is asked for once.
function soon(...what) {
  what.forEach((one) => wanted.add(one));
  pending ||= setTimeout(refresh, 40);
}

// What is shown stays, and can be clicked, until what is new has come.
async function refresh() {
  const [cast, chat] = [wanted.has("cast"), wanted.has("chat")];
  wanted.clear();
  pending = 0;
  if (cast) {
    await loadCast();
    drawActions();
  }
  if (chat) {
    await loadConversation();
    await loadFaults();
    await loadCalls();
  }
}

function changed(notice) {
  if (notice.what === "reset" || notice.what === "open" || notice.lost) {
    soon("cast", "chat");
  } else if (notice.account === account().id && notice.user === page.user) {
    soon("chat");
  } else if (notice.what === "entry") {
    page.unread.add(chatKey(notice.account, notice.user));
    const known = notice.account !== account().id || page.users.some((user) => user.name === notice.user);
    if (known) drawCast();
    else soon("cast");
  }
}

async function say(text, more, user = page.user, id = account().id) {
  await control.say(id, user, text, more);
  $("chat").scrollTop = $("chat").scrollHeight;
}

async function sayTwice() {
  const [first, second] = word("quick");
  const [user, id] = [page.user, account().id];
  await say(first);
  setTimeout(() => say(second, {}, user, id), QUICK_PAUSE);
}

async function sendTyped(event) {
  event?.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  write("");
  try {
    await say(text);
  } catch (error) {
    if (!$("text").value) write(text); // it was not sent: nobody should have to type it again
    throw error;
  }
}

function write(text) {
  $("text").value = text;
  fitComposer();
}

function fitComposer() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 104)}px`;
  $("composer").classList.toggle("ready", text.value.trim() !== "");
}

function drawNotice() {
  const notice = isChinese() ? page.notice.zh : page.notice.en;
  $("notice").textContent = notice;
  $("notice").hidden = !notice;
}

function announce(lines) {
  $("notice").hidden = false;
  $("notice").textContent = lines.join("  ");
}

async function verify() {
  const results = await control.verify(account().id);
  const mark = (one) => `${word(one.ok ? "good" : "bad")} ${one.said}`;
  announce(results.map((one) => word("verified", one.url, mark(one.right), mark(one.wrong))));
}

function drawSamples() {
  const chips = word("samples").map((text) => button(text, () => say(text), "chip"));
  $("samples").replaceChildren(button(word("twoQuick"), sayTwice, "chip quick"), ...chips);
}

// What only some kinds of account know.
function ownActions() {
  const happen = (name, key) => () => control.happen(account().id, page.user, name, key);
  const agent = (act) => () => control.agent(account().id, page.user, act).then(loadConversation);
  const people = account().agents.length || account().kind === "wecom_kf" ? [["takeOver", agent("take")]] : [];
  const own = {
    miniprogram: [["enter", happen("user_enter_tempsession")]],
    wecom_kf: [["enter", happen("enter_session")]],
    wecom_bot: [["enter", happen("enter_chat")]],
    wecom: [["enter", happen("enter_agent")]],
  }[account().kind] ?? [["click", happen("CLICK", "HELP")], ["scan", happen("SCAN", "spring")], ["unfollow", happen("unsubscribe")]];
  return [...own, ...people];
}

async function sendPicture(event) {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  await say("", { kind: "image", file: btoa(text) });
}

function drawActions() {
  if (!account()) return;
  const actions = [
    ["image", () => say("", { kind: "image" })],
    ["ownImage", () => $("picture").click()],
    ["voice", () => say("", { kind: "voice" })],
    ["video", () => say("", { kind: "video" })],
    ["location", () => say("", { kind: "location" })],
    ...ownActions(),
    ["plusMinute", () => control.advance(60).then(loadConversation)],
    ["plusTwoDays", () => control.advance(48 * 3600).then(loadConversation)],
    ["verify", verify],
    ["reset", control.reset],
  ];
  redraw($("action-buttons"), JSON.stringify([isChinese(), account()]), () =>
    actions.map(([name, act]) => button(word(name), act)));
}

function drawFaultForm() {
  const kinds = Object.entries(word("fault_kinds"));
  $("fault-kind").replaceChildren(...kinds.map(([kind, name]) => option(kind, name, false)));
  explainFault();
}

function explainFault() {
  const hint = word("fault_values")[$("fault-kind").value];
  $("fault-value").parentElement.hidden = !hint;
  $("fault-value").placeholder = hint ?? "";
}

async function addFault(event) {
  event.preventDefault();
  const kind = $("fault-kind").value;
  const field = { errcode: "errcode", http: "status", delay: "seconds", delay_after: "seconds" }[kind];
  const value = Number($("fault-value").value);
  const fault = { kind, account: account().id, count: Number($("fault-times").value) };
  if (field && $("fault-value").value) fault[field] = value;
  await setFaults([...page.faults, fault]);
}

async function answerAsAgent(event) {
  event.preventDefault();
  const text = $("agent-text").value.trim();
  if (!text) return;
  $("agent-text").value = "";
  await control.agent(account().id, page.user, "say", text);
}

async function addUser(event) {
  event.preventDefault();
  const name = $("new-user").value.trim();
  if (!name) return;
  $("new-user").value = "";
  await control.addUser(account().id, name);
  await choose(page.account, name);
}

function drawWords() {
  translate(document);
  drawSamples();
  drawActions();
  drawFaultForm();
}

function listen() {
  const on = (id, event, act) => $(id).addEventListener(event, act);
  on("composer", "submit", sendTyped);
  on("text", "input", fitComposer);
  on("text", "keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) sendTyped(event);
  });
  on("follow-button", "click", () => control.happen(account().id, page.user, "subscribe"));
  on("add-user", "submit", addUser);
  on("picture", "change", sendPicture);
  on("agent", "submit", answerAsAgent);
  on("agent-close", "click", () => control.agent(account().id, page.user, "close").then(loadConversation));
  on("add-fault", "submit", addFault);
  on("fault-kind", "change", explainFault);
  on("calls", "toggle", loadCalls);
  on("pick-account", "change", (event) => choose(Number(event.target.value), page.user));
  on("pick-user", "change", (event) => choose(page.account, event.target.value));
  on("open-inspector", "click", () => document.body.classList.toggle("inspecting"));
  on("close-inspector", "click", () => document.body.classList.remove("inspecting"));
  on("language", "click", () => {
    switchLanguage();
    drawWords();
    drawNotice();
    drawCast();
    drawConversation();
    loadFaults().then(loadCalls);
  });
  addEventListener("unhandledrejection", (event) => announce([event.reason.message]));
}

async function start() {
  drawWords();
  listen();
  drawPhoneTime();
  setInterval(drawPhoneTime, 10_000);
  const about = await control.about();
  page.accounts = about.accounts;
  page.notice = { zh: about.notice, en: about.notice_en };
  drawNotice();
  await choose(0, "");
  await loadFaults();
  onChange(changed);
}

start();
