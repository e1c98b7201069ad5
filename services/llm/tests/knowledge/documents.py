"""Documents in memory, and what looks answers up in them."""

from dataclasses import dataclass
from typing import Any

from queqiao_common.events import Prompt, encode
from queqiao_common.knowledge import (
    Chunk,
    Document,
    ObjectMeta,
    encode_document,
    object_digest,
)
from queqiao_common.settings import Account, Config, Handover, Knowledge, Persona, Secret
from queqiao_common.testing import MemoryObjects
from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.knowing import Knowing
from queqiao_llm.knowledge.library import Library
from queqiao_llm.knowledge.passages import Limits

FAQ = {
    "退款多久到账": "审核通过以后，三个工作日内原路退回。",
    "怎么开电子发票": "在订单页点击申请发票，发送到您的邮箱。",
    "可以货到付款吗": "目前不支持，请在线支付。",
}
LIMITS = Limits(least=0.15, least_similar=0.6, passages=4, max_chars=2400)


@dataclass
class Told:
    """A message of the broker."""

    data: bytes
    subject: str = "$O.knowledge.M.x"
    reply: str = ""
    headers: dict[str, str] | None = None


UNKNOWN = Knowledge().unknown
PERSONA = Prompt("system", "你是客服。")


def document(
    title: str = "常见问题", chunks: dict[str, str] | None = None, **fields: Any
) -> Document:
    """Return a document of questions and answers."""
    pairs = FAQ if chunks is None else chunks
    defaults: dict[str, Any] = {"source": f"{title}.csv", "digest": "d", "added_ms": 1}
    made = tuple(Chunk(heading, text) for heading, text in pairs.items())
    return Document(title=title, chunks=made, **(defaults | fields))


async def put(objects: MemoryObjects, key: str, one: Document | None) -> Told:
    """Store a document, or delete it, and return what the broker tells of it."""
    stored = encode_document(one) if one else b""
    if one:
        await objects.put(key, stored)
    else:
        await objects.delete(key)
    meta = ObjectMeta(name=key, digest=object_digest(stored), deleted=one is None)
    return Told(data=encode(meta))


async def filled(objects: MemoryObjects, *collections: str, **options: Any) -> Library:
    """Return a library that has taken in what there is."""
    library = Library(objects, Asking(), collections=collections or ("faq",), **options)
    await library.refresh()
    return library


async def knowing(
    objects: MemoryObjects,
    *,
    embedder: Any = None,
    passages: Any = None,
    kind: Any = "service",
    **persona: Any,
) -> Knowing:
    """Return what looks up the usual collection for the persona `service`."""
    library = await filled(objects)
    config = Config(
        accounts=(Account(id="main", kind=kind, appid="wx1", token=Secret("t")),),
        personas={"service": Persona(**({"knowledge": ("faq",)} | persona))},
        knowledge=Knowledge(timeout=5.0),
        handover=Handover(enabled=True, words=("人工",)),
    )
    return Knowing(
        config=config,
        library=library,
        asking=Asking(),
        passages=passages or library,
        embedder=embedder,
    )
