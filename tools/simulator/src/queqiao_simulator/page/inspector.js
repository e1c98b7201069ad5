// The inspector: what WeChat and the bot did with the selected message.
import { eventText } from "./chat.js";
import { $, button, el, redraw } from "./dom.js";
import { reasonText } from "./reasons.js";
import { isChinese, word } from "./words.js";

const ANSWER_LIMIT = 5000; // ms that WeChat waits for an answer
const DELIVERIES = 3;
const SHOWN = 8; // deliveries of one push

const card = (title, ...children) => el("section", "card", el("h3", "", title), ...children);
const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${Math.round(value)} ms`);

const isQuestion = (entry) => entry.who === "user"; // a message, or an event such as following

// The question that an entry belongs to: itself, the one it answers, or the last one before it.
export function questionOf(entries, entry) {
  if (!entry || isQuestion(entry)) return entry;
  if (entry.in_reply_to) return entries.find((one) => one.msgid === entry.in_reply_to);
  return entries.filter((one) => isQuestion(one) && one.id < entry.id).at(-1);
}

// What the user saw because of a question, as far as the platform can tell.
function repliesTo(entries, question) {
  const next = entries.find((one) => isQuestion(one) && one.id > question.id);
  return entries.filter((one) => {
    if (one.in_reply_to) return one.in_reply_to === question.msgid;
    return !isQuestion(one) && one.id > question.id && (!next || one.id < next.id);
  });
}

// The way as the platform sees it, where nobody has told.
function pathOf(replies, push) {
  if (replies.some((one) => one.who === "platform")) return "error";
  if (replies.length) return replies[0].via;
  return ["pending", "silent"].includes(push?.result) ? "waiting" : "none";
}

function deliveryRow(number, delivery, ghost) {
  const line = el("li", "delivery", el("span", "number", String(number)));
  if (!delivery) {
    line.classList.add("ghost");
    line.append(el("span", "what", ghost));
    return line;
  }
  const outcome = delivery.outcome ?? "pending";
  line.classList.add(outcome);
  const name = delivery.outcome ? word(`outcome.${delivery.outcome}`) : word("inFlight");
  const what = el("span", "what", name);
  what.title = [delivery.url, delivery.reason].filter(Boolean).join("\n");
  const meter = el("span", "meter", el("i"));
  meter.firstChild.style.width = `${Math.min(100, Math.max(2, ((delivery.ms ?? 0) / ANSWER_LIMIT) * 100))}%`;
  line.append(what, meter, el("span", "ms", delivery.ms === null ? "" : ms(delivery.ms)));
  if (delivery.reason && delivery.outcome !== "timeout") {
    line.append(el("span", "reason", delivery.reason));
  }
  return line;
}

function deliveriesCard(push) {
  const list = el("ol", "deliveries");
  const made = push.deliveries.length;
  const ghost = word(push.result === "pending" ? "ifNeeded" : "notNeeded");
  // An AI bot's stream is asked for hundreds of times: the latest are enough.
  for (let index = Math.max(0, made - SHOWN); index < Math.max(DELIVERIES, made); index += 1) {
    list.append(deliveryRow(index + 1, push.deliveries[index], ghost));
  }
  const fault = push.fault ? el("p", "warn", word("fault", word(`fault_kinds.${push.fault}`))) : null;
  return card(word("deliveries"), list, fault);
}

function copyable(text) {
  const code = el("code", "", text);
  const copy = button(word("copy"), async () => {
    if (!navigator.clipboard) return getSelection().selectAllChildren(code); // not on this machine
    await navigator.clipboard.writeText(text);
    copy.textContent = word("copied");
  });
  return el("div", "copyable", code, copy);
}

function planText(plan) {
  if (typeof plan !== "object") return String(plan);
  const value = (one) => (typeof one === "object" ? JSON.stringify(one) : String(one));
  return Object.entries(plan).map(([name, one]) => `${name}: ${value(one)}`).join("\n");
}

function pathChip(via) {
  const known = Object.hasOwn(word("via"), via);
  return el("span", `path ${known ? via : ""}`, known ? word(`via.${via}`) : via);
}

const pathHint = (via) => (Object.hasOwn(word("viaHint"), via) ? el("p", "hint", word(`viaHint.${via}`)) : null);

// One thing that the bot did: by which way, why, and what is worth knowing beside it.
function stepOf({ via, reasons, plan, detail }) {
  const facts = [
    detail.parts > 1 && word("parts", detail.parts),
    detail.parked > 0 && word("parked", detail.parked),
    detail.messages > 1 && word("together", detail.messages),
    detail.errcode > 0 && `errcode ${detail.errcode}`,
  ].filter(Boolean);
  const head = el("p", "", via ? pathChip(via) : "", facts.length ? el("small", "", facts.join(" · ")) : "");
  const list = el("ul", "reasons", ...reasons.map((reason) => el("li", "", reasonText(reason))));
  return el("li", "step", head, list, plan ? el("pre", "", planText(plan)) : null);
}

function pathCard(question, replies, push) {
  const told = question.detail;
  const via = told.filter((one) => one.via).at(-1)?.via ?? pathOf(replies, push);
  const section = card(word("path"));
  if (told.length) section.append(el("ol", "steps", ...told.map(stepOf)));
  else section.append(el("p", "", pathChip(via)));
  section.append(pathHint(via) ?? "");
  if (!told.length && replies.length > 1) section.append(el("p", "hint", word("replies", replies.length)));
  return section;
}

function traceCard(question) {
  const traces = [...new Set(question.detail.map((one) => one.trace_id).filter(Boolean))];
  if (!traces.length) return "";
  return card(word("trace"), ...traces.map(copyable), el("p", "hint", word("traceHint")));
}

function quotaCard(account, quota) {
  if (account.kind.startsWith("wecom")) return "";
  if (!account.may_send) return card(word("quotaTitle"), el("p", "hint", word("quotaPassive")));
  if (quota.closes_at === null) return card(word("quotaTitle"), el("p", "hint", word("quotaNone")));
  const dots = el("div", "dots-left");
  for (let index = 0; index < quota.of; index += 1) dots.append(el("i", index < quota.left ? "left" : ""));
  const until = new Date(quota.closes_at * 1000).toLocaleString(isChinese() ? "zh-CN" : "en-GB", {
    month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false,
  });
  const text = `${word("quotaLeft", quota.left, quota.of)} · ${word("quotaUntil", until)}`;
  return card(word("quotaTitle"), dots, el("p", "hint", text));
}

export function drawFacts(state, account, selected) {
  const entry = state.entries.find((one) => one.id === selected);
  const question = questionOf(state.entries, entry);
  const push = question && state.pushes.find((one) => (one.msgid ? one.msgid === question.msgid : one.key === question.key));
  const replies = question ? repliesTo(state.entries, question) : [];
  const shown = [isChinese(), account, state.user, question, push, replies];
  redraw($("facts"), JSON.stringify(shown), () => (question
    ? factsOf(question, push, replies, state.user, account)
    : [el("p", "hint empty", word("empty")), quotaCard(account, state.user.quota)]));
}

function factsOf(question, push, replies, user, account) {
  const isEvent = question.kind === "event";
  const head = el("div", "asked", isEvent ? el("b", "", eventText(question, user.name)) : el("q", "", question.text));
  if (question.msgid) head.append(el("small", "", `MsgId ${question.msgid}`));
  return [
    head,
    push ? deliveriesCard(push) : "",
    pathCard(question, replies, push),
    traceCard(question),
    quotaCard(account, user.quota),
  ];
}

export function drawFaults(faults, remove) {
  const count = $("fault-count");
  count.textContent = faults.length;
  count.hidden = !faults.length;
  const row = (fault, index) => {
    const name = el("span", "", word(`fault_kinds.${fault.kind}`));
    const fired = el("small", "", word("fired", fault.fired));
    return el("li", "", name, fired, button(word("remove"), () => remove(index)));
  };
  redraw($("fault-list"), JSON.stringify([isChinese(), faults]), () =>
    (faults.length ? faults.map(row) : [el("li", "hint", word("noFaults"))]));
}

export function drawCalls(calls) {
  const rows = calls.slice(-8).reverse().map((call) => {
    const name = el("code", "", call.path.replace("/cgi-bin", ""));
    const code = el("small", call.errcode ? "bad" : "good", call.errcode ? String(call.errcode) : "ok");
    return el("li", "", name, el("small", "", call.what), code, el("small", "", ms(call.ms)));
  });
  $("call-list").replaceChildren(...(rows.length ? rows : [el("li", "hint", word("noCalls"))]));
}
