// Every text of the page, in two languages.

const ZH = {
  title: "鹊桥", subtitle: "微信模拟器", language: "English",
  account: "账号", user: "用户", accounts: "账号", users: "以谁的身份聊天",
  newUser: "新用户的名字", add: "添加",
  castHint: "这里没有真正的微信：模拟器按微信的规则签名、推送、计时和限额，机器人分不出区别。",
  service: "服务号", subscription: "订阅号", miniprogram: "小程序", wecom: "企业微信应用", wecom_kf: "微信客服", wecom_bot: "智能机器人",
  byAgent: "人工客服 {0}", agentHint: "以人工客服的身份回答", agentClose: "结束会话", takeOver: "转人工", enter: "进入会话", entered: "{0} 进入了会话",
  writing: "正在写…", cut: "流式回答被截断", rewrites: "改写了 {0} 次", photo: "图片", recording: "语音", ownImage: "发自己的图片", video: "发视频",
  canSend: "可发客服消息", passiveOnly: "只能被动回复",
  follow: "关注公众号", followed: "{0} 关注了公众号", unfollowed: "{0} 取消了关注",
  clicked: "{0} 点了菜单：{1}", scanned: "{0} 扫了二维码", happened: "{0}：{1}",
  send: "发送", typeHere: "发消息", typing: "对方正在输入…",
  aiMark: "内容由第三方AI生成", twoQuick: "⚡ 连发两条", inspect: "查看这条消息的经过",
  samples: ["你好", "用三句话介绍一下鹊桥的传说", "给我讲一个长一点的故事", "继续"],
  quick: ["推荐一道家常菜", "要十分钟能做好的"],
  inspector: "这条消息的经过", close: "收起", empty: "发一条消息，这里会显示微信为它做了什么。",
  deliveries: "微信的推送", delivery: "第 {0} 次", notNeeded: "没有用到", ifNeeded: "超时才会用到", inFlight: "等待应答…",
  path: "回复走哪条路，为什么", trace: "追踪编号", copy: "复制", copied: "已复制",
  traceHint: "在日志和链路里找它，五个服务各做了什么一目了然。",
  parts: "发了 {0} 条", parked: "还存着 {0} 条", together: "{0} 条消息合在一起回答",
  quotaTitle: "客服消息额度", quotaLeft: "还可以发 {0} 条（共 {1} 条）", quotaUntil: "窗口 {0} 关闭",
  quotaNone: "窗口没有打开：用户说话以后才能发客服消息", quotaPassive: "这个公众号没有客服消息权限，只能在推送的应答里回复",
  replies: "用户看到 {0} 条回复", fault: "注入的故障：{0}", answered: "用时",
  via: {
    passive: "被动回复", api: "客服消息", active: "客服消息", parked: "先存起来，等用户来取", failed: "没能送到",
    none: "没有回复", waiting: "还没有回复", error: "出错提示", stream: "流式回答", webhook: "response_url 补充", agent: "人工客服",
  },
  viaHint: {
    passive: "就在推送的应答里回答：最快，也不占额度",
    api: "推送先应答 success，随后调用客服接口送达", active: "推送先应答 success，随后调用客服接口送达",
    parked: "三次推送都赶不上，下一条消息来时再给", none: "机器人应答了 success 或空串，没有回复",
    waiting: "机器人还在处理", error: "用户看到的是微信的出错提示", failed: "微信不肯收，或者处理失败",
  },
  outcome: {
    reply: "收到回复", success: "应答 success", empty: "应答为空", timeout: "超时，断开连接",
    refused: "连接不上", reset: "连接中断", server_error: "服务器错误", invalid: "应答不合规",
  },
  actions: "更多动作", unfollow: "取消关注", click: "点菜单", scan: "扫码", image: "发图片", voice: "发语音",
  location: "发位置", verify: "验证回调地址", plusMinute: "快进 1 分钟", plusTwoDays: "快进 48 小时", reset: "清空重来",
  verified: "{0}：正确签名 {1}，错误签名 {2}", good: "✓", bad: "✗",
  faults: "注入故障", inject: "注入", times: "次数", value: "数值", remove: "撤掉", fired: "已发生 {0} 次",
  fault_kinds: {
    errcode: "接口返回错误码", http: "接口返回 HTTP 错误", delay: "接口变慢", delay_after: "做完了才变慢",
    disconnect_before: "接口断线，没做", disconnect_after: "接口断线，但做了", revoke_token: "令牌失效",
    duplicate: "重复推送", wrong_signature: "签名错误", bad_appid: "AppID 错误", stale_timestamp: "时间戳过期",
    unknown_type: "未知消息类型", empty_content: "内容为空", invalid_utf8: "坏的 UTF-8",
    entity_expansion: "实体展开攻击", huge_body: "超过 1 MB",
    out_of_order: "后发先到", burst: "一连串消息", event_collision: "同一秒的两个事件", unknown_fields: "多出的字段",
    split_cdata: "拆开的 CDATA", external_entity: "外部实体攻击", old_key: "用旧密钥加密", slow_body: "推送写得很慢",
    split_body: "推送分成小段", chunked_body: "推送分块传输", text_plain: "应答标成 text/plain",
    kf_empty_page: "拉取到空页，还有更多", kf_send_fail: "微信客服稍后报告发送失败",
  },
  fault_values: { errcode: "错误码，如 45047", http: "状态码，如 502", delay: "秒数", delay_after: "秒数" },
  calls: "接口调用", noCalls: "还没有调用。", noFaults: "一切正常。",
};

const EN = {
  title: "Queqiao", subtitle: "WeChat simulator", language: "中文",
  account: "Account", user: "User", accounts: "Accounts", users: "Chat as",
  newUser: "Name of a new user", add: "Add",
  castHint: "There is no real WeChat here. The simulator signs, pushes, times and limits by WeChat's rules; a bot cannot tell.",
  service: "Service", subscription: "Subscription", miniprogram: "Mini Program", wecom: "WeCom app", wecom_kf: "WeCom customer service", wecom_bot: "WeCom AI bot",
  byAgent: "Agent {0}", agentHint: "Answer as the human agent", agentClose: "End session", takeOver: "Human takes over", enter: "Enter the chat", entered: "{0} entered the chat",
  writing: "writing…", cut: "the stream was cut", rewrites: "rewritten {0} times", photo: "Picture", recording: "Voice", ownImage: "My own picture", video: "Video",
  canSend: "can send later", passiveOnly: "passive only",
  follow: "Follow", followed: "{0} followed the account", unfollowed: "{0} stopped following",
  clicked: "{0} tapped the menu: {1}", scanned: "{0} scanned the QR code", happened: "{0}: {1}",
  send: "Send", typeHere: "Message", typing: "typing…",
  aiMark: "内容由第三方AI生成", twoQuick: "⚡ Two at once", inspect: "What happened to this message",
  samples: ["你好", "用三句话介绍一下鹊桥的传说", "给我讲一个长一点的故事", "继续"],
  quick: ["推荐一道家常菜", "要十分钟能做好的"],
  inspector: "What happened to this message", close: "Close", empty: "Send a message to see what WeChat did with it.",
  deliveries: "WeChat's deliveries", delivery: "No. {0}", notNeeded: "not needed", ifNeeded: "after a time-out", inFlight: "waiting…",
  path: "The way the reply took, and why", trace: "Trace id", copy: "Copy", copied: "Copied",
  traceHint: "Look for it in logs and traces: it names what each of the five services did.",
  parts: "{0} messages sent", parked: "{0} still kept", together: "for {0} messages",
  quotaTitle: "Customer-service messages", quotaLeft: "{0} of {1} left", quotaUntil: "the window closes {0}",
  quotaNone: "The window is closed: the user must write first", quotaPassive: "This account may not send later; it can only answer a push",
  replies: "The user sees {0} replies", fault: "Injected fault: {0}", answered: "took",
  via: {
    passive: "passive reply", api: "customer-service message", active: "customer-service message", parked: "parked until the user asks", failed: "not delivered",
    none: "no reply", waiting: "no reply yet", error: "error text", stream: "stream", webhook: "by response_url", agent: "human agent",
  },
  viaHint: {
    passive: "In the answer of the push itself: fastest, and free",
    api: "The push was answered “success”; the reply came by the API", active: "The push was answered “success”; the reply came by the API",
    parked: "Too late for three deliveries; the next message collects it", none: "The bot answered “success” or nothing",
    waiting: "The bot is still at work", error: "The user sees WeChat's error text", failed: "WeChat refused it, or handling it failed",
  },
  outcome: {
    reply: "replied", success: "said success", empty: "empty answer", timeout: "timed out, cut",
    refused: "no connection", reset: "connection lost", server_error: "server error", invalid: "invalid answer",
  },
  actions: "More actions", unfollow: "Unfollow", click: "Tap menu", scan: "Scan", image: "Picture", voice: "Voice",
  location: "Location", verify: "Verify callback", plusMinute: "+1 minute", plusTwoDays: "+48 hours", reset: "Start over",
  verified: "{0}: right signature {1}, wrong signature {2}", good: "✓", bad: "✗",
  faults: "Inject faults", inject: "Inject", times: "times", value: "value", remove: "Remove", fired: "fired {0} times",
  fault_kinds: {
    errcode: "API answers an errcode", http: "API answers an HTTP error", delay: "API is slow", delay_after: "API is slow after the effect",
    disconnect_before: "API disconnects, nothing done", disconnect_after: "API disconnects, but it is done", revoke_token: "Token revoked",
    duplicate: "Duplicate push", wrong_signature: "Wrong signature", bad_appid: "Wrong AppID", stale_timestamp: "Stale timestamp",
    unknown_type: "Unknown message type", empty_content: "Empty content", invalid_utf8: "Invalid UTF-8",
    entity_expansion: "Entity expansion", huge_body: "More than 1 MB",
    out_of_order: "Overtaken by the next", burst: "Burst of messages", event_collision: "Two events in one second", unknown_fields: "Unknown fields",
    split_cdata: "CDATA in two sections", external_entity: "External entity", old_key: "Encrypted with the old key", slow_body: "Request written slowly",
    split_body: "Request in small segments", chunked_body: "Chunked request", text_plain: "Answer labelled text/plain",
    kf_empty_page: "sync_msg: empty page, more to come", kf_send_fail: "kf message fails later",
  },
  fault_values: { errcode: "errcode, e.g. 45047", http: "status, e.g. 502", delay: "seconds", delay_after: "seconds" },
  calls: "API calls", noCalls: "None yet.", noFaults: "All is well.",
};

const remembered = (() => {
  try { return localStorage.getItem("language"); } catch { return null; }
})();
let words = remembered === "en" ? EN : ZH;

export function word(key, ...values) {
  const found = key.split(".").reduce((node, part) => node?.[part], words);
  if (typeof found !== "string") return found ?? key.split(".").at(-1);
  return found.replace(/\{(\d)\}/g, (_, index) => values[index]);
}

export function isChinese() {
  return words === ZH;
}

export function switchLanguage() {
  words = isChinese() ? EN : ZH;
  try { localStorage.setItem("language", isChinese() ? "zh" : "en"); } catch { /* private mode */ }
}

export function translate(root) {
  document.documentElement.lang = isChinese() ? "zh-CN" : "en";
  document.title = `${word("title")} · ${word("subtitle")}`;
  for (const node of root.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = word(node.dataset.hint);
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
}
