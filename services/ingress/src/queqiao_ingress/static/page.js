// Keeps the page of an answer up to date while it is being written. Without it the page still works.
"use strict";
(() => {
  const article = document.querySelector("article");
  const writing = document.querySelector(".writing");
  const events = article.dataset.events;
  if (!events || !window.EventSource) return;

  // Only what differs is replaced, so that nothing flickers and a selection above survives.
  const show = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    const wanted = Array.from(fresh.childNodes);
    const shown = Array.from(article.childNodes);
    wanted.forEach((node, index) => {
      if (index >= shown.length) article.append(document.importNode(node, true));
      else if (!node.isEqualNode(shown[index])) shown[index].replaceWith(document.importNode(node, true));
    });
    shown.slice(wanted.length).forEach((node) => node.remove());
  };

  const source = new EventSource(events);
  const finish = () => {
    source.close();
    writing.hidden = true;
    article.removeAttribute("aria-busy");
  };
  source.addEventListener("page", (message) => {
    const page = JSON.parse(message.data);
    show(page.html);
    if (page.final) finish();
  });
  // A refusal is final for the browser: look again later, as somebody may have left.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 15000);
  });
})();
