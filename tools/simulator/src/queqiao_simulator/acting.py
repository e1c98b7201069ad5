"""Users act: one way in for every kind of account, with pictures and sounds that are real files."""

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from queqiao_simulator import agents, bot_play, customers, envelope, kf, pictures
from queqiao_simulator.accounts import Account, Conversation, UnknownError
from queqiao_simulator.captions import caption
from queqiao_simulator.refusals import Refused
from queqiao_simulator.transcript import Push
from queqiao_simulator.writings import Composed, Writing

if TYPE_CHECKING:
    from queqiao_simulator.world import World


def write(world: "World", account: Account, chat: Conversation, said: Writing) -> Push:
    """A user writes to an account of any kind; the push runs in the background."""
    fields, media = _attached(world, account, chat, said)
    elements = envelope.message(said.kind, fields)
    content = world.medium_of(account, media)
    match account.settings.kind:
        case "wecom_kf":
            body = _kf_body(said.kind, elements)
            composed = _composed(said, body, caption(elements), content)
            return customers.write(world, account, chat, composed)
        case "wecom_bot":
            body = _bot_body(world, account, said, media)
            composed = _composed(said, body, caption(elements), content)
            quoting = replace(composed, quote=said.fields.get("quote"))
            return bot_play.write(world, account, chat, quoting)
        case _:
            return world.say(account, chat, said.kind, fields, said.msgid, content)


def _composed(said: Writing, body: dict[str, Any], text: str, content: dict[str, Any]) -> Composed:
    return Composed(
        kind=said.kind,
        body=body,
        text=text,
        content=content,
        msgid=said.msgid,
        chatid=said.chatid,
    )


def happen(
    world: "World",
    account: Account,
    chat: Conversation,
    name: str,
    key: str | None,
    fields: dict[str, Any],
    chatid: str = "",
) -> Push:
    """A user does something that is not a message; `chatid` is an AI bot's group chat."""
    match account.settings.kind:
        case "wecom_kf" if name == "enter_session":
            return customers.enter(world, account, chat, fields)
        case "wecom_kf":
            return customers.happened(world, account, chat, name, fields)
        case "wecom_bot":
            return bot_play.happen(world, account, chat, name, fields, chatid)
        case _:
            return world.happen(account, chat, name, key, fields)


def choose(world: "World", account: Account, chat: Conversation, item: str) -> Push:
    """A user taps an item of the newest msgmenu that has it (by id or text).

    Raises:
        UnknownError: no menu that the user was shown has such an item.
    """
    for entry in reversed(chat.entries):
        for offered in entry.content.get("items", ()):
            if item in (offered["id"], offered["content"]):
                return _tapped(world, account, chat, offered)
    raise UnknownError(f"user {chat.name!r} was shown no menu with the item {item!r}")


def scan(world: "World", account: Account, chat: Conversation, ticket: str) -> Push:
    """A user scans a QR code (by ticket or scene): follows through it, or is already there.

    Raises:
        UnknownError: there is no such code, or it has expired.
    """
    scene = account.scenes.find(ticket, world.clock.now())
    if scene is None:
        raise UnknownError(f"account {account.settings.id!r} has no QR code {ticket!r} in force")
    if chat.subscribed:
        return world.happen(account, chat, "SCAN", scene.value, {"Ticket": scene.ticket})
    chat.scene = scene.value
    key = f"qrscene_{scene.value}"
    return world.happen(account, chat, "subscribe", key, {"Ticket": scene.ticket})


def answer_as_agent(world: "World", account: Account, chat: Conversation, text: str) -> None:
    """The person who has taken over writes to the user.

    Raises:
        Refused: 65413 or 95014: nobody has taken over.
    """
    if account.settings.kind != "wecom_kf":
        return agents.answer(world, account, chat, text)
    if account.kf.talk(chat.openid).state != kf.HUMAN:
        raise Refused(95014)
    return customers.answer(world, account, chat, text)


def _tapped(world: "World", account: Account, chat: Conversation, offered: dict[str, str]) -> Push:
    text, number = offered["content"], offered["id"]
    if account.settings.kind == "wecom_kf":
        body = {"content": text, "menu_id": number}
        return customers.write(world, account, chat, Composed(kind="text", body=body, text=text))
    return world.say(account, chat, "text", {"Content": text, "bizmsgmenuid": number})


def _attached(
    world: "World", account: Account, chat: Conversation, said: Writing
) -> tuple[dict[str, Any], str]:
    """The elements of a message, with the ids of media made for it; and the main one's."""
    fields, kind = dict(said.fields), said.kind
    if kind == "text":
        return {"Content": said.text, **fields}, ""
    if "MediaId" in fields or "PicUrl" in fields or kind not in MAKERS:
        return fields, str(fields.get("MediaId", ""))
    seed = f"{chat.openid}/{world.new_msgid()}"
    made, media_id = MAKERS[kind](world, account, said, seed)
    return {**made, **fields}, media_id


def _keep(world: "World", account: Account, kind: str, body: bytes) -> str:
    return account.media.add(kind, body, world.clock.now(), by_user=True).id


def _picture(
    world: "World", account: Account, said: Writing, seed: str
) -> tuple[dict[str, Any], str]:
    media_id = _keep(world, account, "image", said.file or pictures.jpeg(seed, 12))
    path: str = world.medium_of(account, media_id)["media"]["path"]
    return {"PicUrl": world.base_url + path, "MediaId": media_id}, media_id


def _sound(
    world: "World", account: Account, said: Writing, seed: str
) -> tuple[dict[str, Any], str]:
    media_id = _keep(world, account, "voice", said.file or pictures.amr(seed, said.seconds))
    fields = {"MediaId": media_id, "Format": "amr"}
    if account.settings.is_official:
        fields["Recognition"] = ""  # the platform transcribes no more (protocol reference 3.1)
        wide = said.file or pictures.speex(seed, said.seconds)
        fields["MediaId16K"] = _keep(world, account, "voice", wide)
    return fields, media_id


def _film(world: "World", account: Account, said: Writing, seed: str) -> tuple[dict[str, Any], str]:
    media_id = _keep(world, account, "video", said.file or pictures.mp4(seed))
    thumb = _keep(world, account, "thumb", pictures.jpeg(seed))
    return {"MediaId": media_id, "ThumbMediaId": thumb}, media_id


def _file(world: "World", account: Account, said: Writing, seed: str) -> tuple[dict[str, Any], str]:
    media_id = _keep(world, account, "file", said.file or f"%PDF-1.4 {seed}".encode())
    return {"MediaId": media_id}, media_id


def _page(world: "World", account: Account, _: Writing, seed: str) -> tuple[dict[str, Any], str]:
    thumb = _keep(world, account, "thumb", pictures.jpeg(seed))
    path: str = world.medium_of(account, thumb)["media"]["path"]
    return {"ThumbUrl": world.base_url + path, "ThumbMediaId": thumb}, ""


MAKERS = {
    "image": _picture, "voice": _sound, "video": _film, "shortvideo": _film, "file": _file,
    "miniprogrampage": _page,
}  # fmt: skip


def _kf_body(kind: str, elements: envelope.Fields) -> dict[str, Any]:
    match kind:
        case "text":
            return {"content": elements["Content"]}
        case "location":
            names = {"Location_X": "latitude", "Location_Y": "longitude", "Label": "name"}
            return {"address": ""} | {new: elements[old] for old, new in names.items()}
        case "link":
            names = {"Title": "title", "Description": "desc", "Url": "url"}
            return {"pic_url": ""} | {new: elements[old] for old, new in names.items()}
        case _:
            return {"media_id": elements.get("MediaId", "")}


def _bot_body(world: "World", account: Account, said: Writing, media_id: str) -> dict[str, Any]:
    now = world.clock.now()
    match said.kind:
        case "text":
            return {"content": said.text}
        case "voice":
            return {"content": said.text or "（语音转写）"}
        case "image" | "file" | "video":
            medium = account.media.find(media_id, now)
            body = medium.body if medium else b""
            name = account.bot.offer(body, account.settings.aes_key, now)
            return {"url": f"{world.base_url}/simulated/aibot/media/{name}"}
        case _:
            return {name: value for name, value in said.fields.items() if name != "quote"}
