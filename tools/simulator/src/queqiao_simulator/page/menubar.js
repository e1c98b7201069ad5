// The account's own menu under the chat.
import { $, button, el } from "./dom.js";

function closeAll() {
  for (const list of document.querySelectorAll(".menu-sub")) list.hidden = true;
}

function leaf(one, tap) {
  return button(one.name, () => {
    closeAll();
    tap(one.key ?? one.url ?? one.name);
  }, "menu-item");
}

function group(one, tap) {
  const list = el("div", "menu-sub", ...one.sub_button.map((sub) => leaf(sub, tap)));
  list.hidden = true;
  const open = button(`≡ ${one.name}`, () => {
    const wasHidden = list.hidden;
    closeAll();
    list.hidden = !wasHidden;
  }, "menu-item");
  return el("div", "menu-group", list, open);
}

let drawn = "";

// Draw the menu, or nothing where the account has none; `tap(button)` names what was tapped.
export function drawMenu(menu, tap) {
  const wanted = JSON.stringify(menu);
  if (wanted === drawn) return; // or an open submenu would close with every new message
  drawn = wanted;
  const bar = $("menu");
  bar.hidden = !menu;
  const buttons = menu?.button ?? [];
  bar.replaceChildren(...buttons.map((one) => (one.sub_button?.length ? group(one, tap) : leaf(one, tap))));
}
