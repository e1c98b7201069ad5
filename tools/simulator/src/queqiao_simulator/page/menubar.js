// The account's own menu under the chat.
import { $, button, el, redraw } from "./dom.js";

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

// Draw the menu, or nothing where the account has none; `tap(button)` names what was tapped.
export function drawMenu(menu, tap) {
  $("menu").hidden = !menu;
  const buttons = menu?.button ?? [];
  redraw($("menu"), JSON.stringify(buttons), () =>
    buttons.map((one) => (one.sub_button?.length ? group(one, tap) : leaf(one, tap))));
}
