"""What a conversation remembers and says."""

from typing import Annotated

from msgspec import Meta

from queqiao_common.settings.base import Name, Section


class Persona(Section, frozen=True, kw_only=True):
    """One `[personas.<name>]` table: who answers."""

    prompt: str = "你是一个乐于助人的助手。"
    route: Name = "default"
    cache: Annotated[
        bool, Meta(description="false: answers are never shared, as where they use tools")
    ] = True
    tools: Annotated[
        tuple[str, ...],
        Meta(description="what it may call: `server` for all of a server's tools, `server.tool`"),
    ] = ()
    knowledge: Annotated[
        tuple[str, ...], Meta(description="collections it looks answers up in")
    ] = ()
    knowledge_only: Annotated[
        bool, Meta(description="where nothing is found: say so, and ask no model")
    ] = False
    voice: Annotated[
        str, Meta(description="the voice that reads its answers aloud; empty: they are written")
    ] = ""
    greeting: Annotated[str, Meta(description="said when a user is switched to it")] = ""


class ContextSettings(Section, frozen=True, kw_only=True):
    """`[context]`: what a conversation remembers, and how long a turn may take."""

    max_messages: Annotated[int, Meta(ge=0, description="of history before the model")] = 10
    max_tokens: Annotated[int, Meta(ge=100, description="of the whole prompt, estimated")] = 3000
    session_ttl: Annotated[float, Meta(gt=0, description="silence that ends a session")] = 86_400.0
    turn_timeout: Annotated[
        float, Meta(gt=0, description="from the question to the apology, if no answer comes")
    ] = 60.0
    max_queued: Annotated[
        int, Meta(ge=1, description="messages that may wait behind a turn in flight")
    ] = 20
    gather: Annotated[
        float,
        Meta(ge=0, le=10, description="how long pictures wait for more, or for the question"),
    ] = 2.0
    max_pictures: Annotated[
        int, Meta(ge=0, description="of the last turns, shown to the model with a new question")
    ] = 3
    shed_backlog: Annotated[
        int,
        Meta(
            ge=0,
            description="turns waiting for a model that turn new users away, and half of them "
            "questions that their user has asked already; 0: none do",
        ),
    ] = 2000
    reset_words: tuple[str, ...] = ("重置", "清空记忆", "/reset", "/new")
    fetch_words: Annotated[
        tuple[str, ...], Meta(description="collect a parked reply and are no question")
    ] = ("1", "继续", "?", "？")
    reset_text: str = "好的，我们重新开始。"
    apology: Annotated[str, Meta(description="when no model could answer in time")] = (
        "抱歉，我这会儿没能答上来，请稍后再试一次。"
    )
    unsupported: Annotated[str, Meta(description="for message types not served yet")] = (
        "暂时还看不懂这种消息，请用文字告诉我吧。"
    )
    busy: Annotated[str, Meta(description="when too many messages wait, or a limit is hit")] = (
        "消息有点多，我还在回答前面的问题，请稍等一下再发。"
    )
    overloaded: Annotated[str, Meta(description="to new users while there are too many")] = (
        "现在咨询的人有点多，请稍后再发一次。"
    )


class Notes(Section, frozen=True, kw_only=True):
    """`[notes]`: what is remembered of a user across sessions, and the summary of a long talk."""

    summary: Annotated[bool, Meta(description="summarise what no longer fits before the model")] = (
        True
    )
    summary_route: Annotated[
        str, Meta(description="the route that writes it, a cheap one; empty: the persona's")
    ] = ""
    summary_after: Annotated[
        int, Meta(ge=2, description="messages that have fallen out before it is written anew")
    ] = 20
    enabled: Annotated[bool, Meta(description="keep notes about a user")] = False
    max_notes: Annotated[
        int, Meta(ge=1, le=100, description="of one user; the oldest makes room")
    ] = 20
    show_words: tuple[str, ...] = ("我的记忆", "你记得我什么", "/notes")
    erase_words: Annotated[
        tuple[str, ...], Meta(description="erase the notes, the history and the summary")
    ] = ("清除记忆", "忘记我", "/forget")
    shown: Annotated[str, Meta(description="said before the notes")] = "我记得这些关于你的事："
    none: str = "我还没有记下关于你的事。"
    erased: str = "好的，关于你的记忆已经清除。"
