// The simulator's control API.

async function ask(method, path, body) {
  const response = await fetch(`/control${path}`, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

const where = (account, user) => `?${new URLSearchParams(user ? { account, user } : { account })}`;

export const control = {
  about: () => ask("GET", "/about"),
  users: (account) => ask("GET", `/users${where(account)}`),
  addUser: (account, user) => ask("PUT", "/users", { account, user }),
  conversation: (account, user) => ask("GET", `/conversation${where(account, user)}`),
  calls: (account) => ask("GET", `/calls${where(account)}`),
  say: (account, user, text, more = {}) => ask("POST", "/messages", { account, user, text, ...more }),
  happen: (account, user, event, event_key = "") => ask("POST", "/events", { account, user, event, event_key }),
  tap: (account, user, button) => ask("POST", "/taps", { account, user, button }),
  choose: (account, user, item) => ask("POST", "/choices", { account, user, item }),
  agent: (account, user, act, text = "") => ask("POST", "/agents", { account, user, act, text }),
  verify: (account) => ask("POST", "/verify", { account }),
  faults: () => ask("GET", "/faults"),
  setFaults: (faults) => ask("PUT", "/faults", faults),
  advance: (seconds) => ask("POST", "/clock", { advance: seconds }),
  reset: () => ask("POST", "/reset"),
};

export function onChange(listen) {
  const stream = new EventSource("/control/stream");
  stream.addEventListener("message", (event) => listen(JSON.parse(event.data)));
  stream.addEventListener("open", () => listen({ what: "open" }));
}
