"""Bodies of messages that are more than a text: what `msgtype` and its object are.

Source: protocol reference 6.2, 10.1 and 10.3. A body lacks only the receiver.
"""

from collections.abc import Iterable

from queqiao_wechat.text import clean_text, fit, size

MENU_ID_BYTES = 64
MENU_TEXT_BYTES = 128
MENU_ITEMS = 10
TITLE_BYTES = 128
DESCRIPTION_BYTES = 512

Body = dict[str, object]


def text(content: str) -> Body:
    """A text."""
    return {"msgtype": "text", "text": {"content": clean_text(content)}}


def markdown(content: str) -> Body:
    """Markdown: only WeCom's own client shows it, and an AI bot's chat."""
    return {"msgtype": "markdown", "markdown": {"content": clean_text(content)}}


def media(kind: str, media_id: str) -> Body:
    """A picture (`image`) or a voice message (`voice`)."""
    return {"msgtype": kind, kind: {"media_id": media_id}}


def news(*, title: str, description: str, url: str, picture_url: str) -> Body:
    """A page with a picture. One article: more are refused (45008)."""
    article = {
        "title": shortened(title, TITLE_BYTES),
        "description": shortened(description, DESCRIPTION_BYTES),
        "url": url,
        "picurl": picture_url,
    }
    return {"msgtype": "news", "news": {"articles": [article]}}


def link(*, title: str, description: str, url: str, picture_url: str) -> Body:
    """A link, as a Mini Program sends it."""
    body = {
        "title": shortened(title, TITLE_BYTES),
        "description": shortened(description, DESCRIPTION_BYTES),
        "url": url,
        "thumb_url": picture_url,
    }
    return {"msgtype": "link", "link": body}


def kf_link(*, title: str, description: str, url: str, thumb_media_id: str) -> Body:
    """A link, as WeChat Customer Service sends it: its picture must be uploaded."""
    body = {
        "title": shortened(title, TITLE_BYTES),
        "desc": shortened(description, DESCRIPTION_BYTES),
        "url": url,
        "thumb_media_id": thumb_media_id,
    }
    return {"msgtype": "link", "link": body}


def textcard(*, title: str, description: str, url: str) -> Body:
    """A link, as a WeCom app sends it without a picture."""
    body = {
        "title": shortened(title, TITLE_BYTES),
        "description": shortened(description or title, DESCRIPTION_BYTES),
        "url": url,
    }
    return {"msgtype": "textcard", "textcard": body}


def miniprogrampage(*, title: str, appid: str, page_path: str, thumb_media_id: str) -> Body:
    """A page of a Mini Program; its picture has 520 x 416 pixels."""
    body = {
        "title": clean_text(title),
        "appid": appid,
        "pagepath": page_path,
        "thumb_media_id": thumb_media_id,
    }
    return {"msgtype": "miniprogrampage", "miniprogrampage": body}


def msgmenu(*, head: str, items: Iterable[tuple[str, str]], tail: str = "") -> Body:
    """A menu inside the chat; `items` are id and text. A tap sends the text with the id."""
    lines = [{"id": key, "content": clean_text(line)} for key, line in items]
    return {
        "msgtype": "msgmenu",
        "msgmenu": {"head_content": head, "list": lines, "tail_content": tail},
    }


def kf_msgmenu(*, head: str, items: Iterable[tuple[str, str]], tail: str = "") -> Body:
    """The same for WeChat Customer Service, which has other lines than clicks and takes ten."""
    lines = [
        {
            "type": "click",
            "click": {
                "id": shortened(key, MENU_ID_BYTES),
                "content": shortened(line, MENU_TEXT_BYTES),
            },
        }
        for key, line in items
    ][:MENU_ITEMS]
    return {
        "msgtype": "msgmenu",
        "msgmenu": {"head_content": head, "list": lines, "tail_content": tail},
    }


def shortened(words: str, limit_bytes: int) -> str:
    """Return a text that fits: what is longer ends with an ellipsis."""
    words = clean_text(words).strip()
    if size(words) <= limit_bytes:
        return words
    return fit(words, limit_bytes - size("…"))[0].rstrip() + "…"
