// The reasons of Queqiao's reply planner (services/egress, plan.py), for Chinese readers.
import { isChinese } from "./words.js";

const ZH = [
  [/^nothing to say$/, "没有要说的"],
  [/^no request waits: kept for the user's next message$/, "没有推送在等应答：先存着，等用户的下一条消息"],
  [/^window open for ([\d.]+) s: passive reply$/, "推送还能等 $1 秒：直接在应答里回复"],
  [/^window open for ([\d.]+) s: passive reply, the first (\d+) bytes$/, "推送还能等 $1 秒：直接在应答里回复前 $2 字节"],
  [/^window open for ([\d.]+) s: passive reply, its beginning with a link to the page$/, "推送还能等 $1 秒：直接在应答里回复开头，附上网页链接"],
  [/^window open for ([\d.]+) s, more to come: kept, and offered for its end$/, "推送还能等 $1 秒，后面还有内容：先存着，到最后一刻再给"],
  [/^(\d+) of (\d+) messages? left: (\d+) messages? by API$/, "额度还剩 $1/$2：用客服消息发 $3 条"],
  [/^(\d+) of (\d+) messages? left: merged (\d+) parts into (\d+)$/, "额度还剩 $1/$2：把 $3 段并成 $4 条"],
  [/^(\d+) of (\d+) messages? left, (\d+) needed: the end is cut, and said to be$/, "额度还剩 $1/$2，需要 $3 条：截去结尾，并且说明"],
  [/^(\d+) of (\d+) messages? left, (\d+) needed: the end is linked to its page$/, "额度还剩 $1/$2，需要 $3 条：结尾放在网页上，附上链接"],
  [/^(\d+) of (\d+) messages? left, (\d+) needed: the rest is kept$/, "额度还剩 $1/$2，需要 $3 条：其余存着，等用户的下一条消息"],
  [/^(\d+) of (\d+) messages? left: kept for the user's next message$/, "额度还剩 $1/$2：先存着，等用户的下一条消息"],
  [/^(\d+) of (\d+) messages? left, more to come: (\d+) messages? by API$/, "额度还剩 $1/$2，后面还有内容：先用客服消息发 $3 条"],
  [/^(\d+) of (\d+) messages? left, more to come: (\d+) messages? by API, the rest is kept$/, "额度还剩 $1/$2，后面还有内容：先用客服消息发 $3 条，其余存着"],
  [/^handed over$/, "推送的应答带走了它"],
  [/^not taken: later$/, "没赶上：推送已经应答 success"],
  [/^not taken: thinking$/, "没赶上：推送已经应答“还在想”"],
  [/^not taken: reply$/, "没赶上：推送已经用别的内容应答"],
  [/^done by an earlier attempt$/, "上一次处理时已经送到"],
  [/^errcode (\d+): cut into shorter messages$/, "错误码 $1：切成更短的消息"],
  [/^errcode (\d+): WeChat allows no more, kept$/, "错误码 $1：微信不让再发，先存着"],
  [/^errcode (\d+): calls of today used, kept$/, "错误码 $1：今天的接口次数用完了，先存着"],
  [/^errcode (\d+): refused for good$/, "错误码 $1：微信拒收"],
  [/^part (\d+) may have arrived: resend$/, "第 $1 段可能已经送到：再发一次"],
  [/^part (\d+) may have arrived: drop$/, "第 $1 段可能已经送到：不再发"],
];

// A reason in the reader's language; one that is not known is shown as it is.
export function reasonText(reason) {
  const known = isChinese() ? ZH.find(([pattern]) => pattern.test(reason)) : undefined;
  return known ? reason.replace(...known) : reason;
}
