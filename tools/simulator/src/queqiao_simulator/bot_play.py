"""Users of a WeCom AI bot: what they ask, and the answer that grows while the platform polls.

Source: protocol reference 10.2.
"""

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.answers import Ack, Reply
from queqiao_simulator.bot_answers import Asked
from queqiao_simulator.captions import caption_of_reply
from queqiao_simulator.envelope import Value
from queqiao_simulator.judging import Job
from queqiao_simulator.observer import key_of_question
from queqiao_simulator.transcript import Entry, Push
from queqiao_simulator.writings import Composed

if TYPE_CHECKING:
    from queqiao_simulator.world import World

BUSY = "机器人还在回答前面的消息，请稍后再发"


def write(world: "World", account: Account, chat: Conversation, said: Composed) -> Push:
    """A user asks the bot, unless it is busy with three of their messages."""
    now = world.clock.now()
    msgid = said.msgid or world.new_msgid()
    chat.interacted_at = now
    entry = world.entry("user", said.text, kind=said.kind, msgid=msgid, content=said.content)
    if account.bot.begin(msgid, chat.openid, now) is None:
        push = world.drop(account, chat, entry)
        note = world.entry("platform", BUSY, kind="error", in_reply_to=msgid)
        world.add(account, chat, note)
        return push
    fields = _head(account, chat, msgid, said.chatid)
    code = account.bot.response(chat.openid, fields["chattype"], now)
    fields |= {
        "response_url": f"{world.base_url}/simulated/aibot/response?response_code={code}",
        "msgtype": said.kind,
        said.kind: said.body,
    } | ({"quote": said.quote} if said.quote else {})
    entry.key = key_of_question(fields)
    world.add_act(account, chat, entry)
    return world.push(account, chat, entry, fields)


def happen(
    world: "World",
    account: Account,
    chat: Conversation,
    name: str,
    fields: dict[str, Any],
    chatid: str = "",
) -> Push:
    """A user enters the chat, taps a card, or judges an answer."""
    entry = world.entry("user", name, kind="event", msgid=world.new_msgid())
    head = _head(account, chat, str(entry.msgid), chatid)
    event = {"eventtype": name} | ({name: fields} if fields else {})
    pushed = {**head, "create_time": int(world.clock.now()), "msgtype": "event", "event": event}
    world.add_act(account, chat, entry)
    asked = _asked(name)
    return world.push(
        account,
        chat,
        entry,
        pushed,
        asked=asked,
        attempts=1 if asked == "template_card_event" else 4,
    )


def _asked(event: str) -> Asked:
    match event:
        case "enter_chat":
            return "enter_chat"
        case "template_card_event":
            return "template_card_event"
        case _:
            return "feedback"


def _head(account: Account, chat: Conversation, msgid: str, chatid: str) -> dict[str, Any]:
    group = {"chatid": chatid} if chatid else {}
    return {
        "msgid": msgid,
        "aibotid": account.settings.appid,
        **group,
        "chattype": "group" if chatid else "single",
        "from": {"userid": chat.openid},
    }


def answered(world: "World", job: Job, reply: Reply) -> None:
    """The bot's first answer: shown, and polled for more until it says that it has finished."""
    chat, account, msgid = job.conversation, job.account, job.push.msgid or ""
    entry = world.show(
        account,
        chat,
        caption_of_reply(reply.kind, reply.text),
        kind=reply.kind,
        via="stream" if reply.kind == "stream" else "passive",
        in_reply_to=job.push.msgid,
        content=_content(world, account, reply),
    )
    stream = account.bot.stream(msgid)
    if reply.kind != "stream" or reply.content["finish"]:
        account.bot.end(msgid)
        return
    stream.id, stream.content = reply.content["stream"], reply.text
    world.pusher.background(asyncio.create_task(_poll(world, job, entry)))


def unanswered(job: Job) -> None:
    """The callback had nothing to say, or failed: the message is in progress no longer."""
    if job.account.settings.kind == "wecom_bot":
        job.account.bot.end(job.push.msgid or "")


async def _poll(world: "World", job: Job, entry: Entry) -> None:
    """Ask again and again, until the answer is finished or six minutes are over."""
    account, msgid = job.account, job.push.msgid or ""
    stream = account.bot.stream(msgid)
    polling = _refresh(job, stream.id)
    sealed = world.pusher.seal(polling)
    while not stream.is_over:
        await asyncio.sleep(world.settings.bot.poll_every)
        if account.bot.is_cut(stream, world.clock.now()):
            entry.content["cut"] = "six minutes are over"
            break
        _, answer = await world.pusher.deliver(polling, sealed, len(job.push.deliveries) + 1)
        if isinstance(answer, Reply) and answer.content["stream"] != stream.id:
            entry.content["cut"] = f"asked for {stream.id!r}, got {answer.content['stream']!r}"
            break
        if isinstance(answer, Reply):
            stream.replace(answer.text)
            entry.text = answer.text
            shown = _content(world, account, answer)
            entry.content |= {**shown, "rewrites": stream.rewrites}
            world.changed("entry", account, job.conversation)
        if isinstance(answer, Reply) and answer.content["finish"]:
            break
        if not isinstance(answer, Reply | Ack):
            entry.content["failures"] = entry.content.get("failures", 0) + 1
    account.bot.end(msgid)
    world.changed("entry", account, job.conversation)


def _content(world: "World", account: Account, reply: Reply) -> dict[str, Any]:
    """What is more than text; pictures of a stream become media that the page can show."""
    content = dict(reply.content)
    now = world.clock.now()
    pictures = [
        account.media.add("image", base64.b64decode(image), now)
        for image in content.pop("images", ())
    ]
    if pictures:
        content["pictures"] = [world.medium_of(account, one.id)["media"] for one in pictures]
    return content


def _refresh(job: Job, stream_id: str) -> Job:
    kept = ("msgid", "aibotid", "chatid", "chattype", "from")
    fields: dict[str, Value] = {name: job.fields[name] for name in kept if name in job.fields}
    fields |= {"msgtype": "stream", "stream": {"id": stream_id}}
    return replace(job, fields=fields, asked="stream", fault=None)
