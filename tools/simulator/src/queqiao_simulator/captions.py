"""How a chat shows a message in one line of text. Pure."""

from collections.abc import Mapping

from queqiao_simulator.envelope import Fields

PICTURES: Mapping[str, str] = {
    "image": "[图片]", "voice": "[语音]", "video": "[视频]", "shortvideo": "[小视频]",
    "location": "[位置]", "link": "[链接]", "music": "[音乐]", "file": "[文件]",
    "miniprogrampage": "[小程序]", "template_card": "[卡片]", "template": "[服务通知]",
    "transfer_customer_service": "[转人工客服]", "mpnews": "[图文]", "mpnewsarticle": "[图文]",
    "wxcard": "[卡券]",
}  # fmt: skip
PLAIN = frozenset({"text", "news", "msgmenu", "markdown", "stream"})


def caption(elements: Fields) -> str:
    """How the chat shows a user's message."""
    kind = str(elements["MsgType"])
    if kind == "text":
        return str(elements["Content"])
    detail = next((elements[name] for name in ("Label", "Title") if name in elements), "")
    return f"{PICTURES.get(kind, f'[{kind}]')} {detail}".strip()


def caption_of_reply(kind: str, text: str) -> str:
    """How the chat shows an account's reply."""
    return text if kind in PLAIN else f"{PICTURES.get(kind, f'[{kind}]')} {text}".strip()
