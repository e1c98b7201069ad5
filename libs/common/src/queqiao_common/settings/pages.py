"""The page of a long answer."""

from typing import Annotated

from msgspec import Meta, field

from queqiao_common.settings.base import Secret, Section


class Assets(Section, frozen=True, kw_only=True):
    """`[pages.assets]`: the static files of the page."""

    base_url: Annotated[str, Meta(description="of a CDN that mirrors them; empty: ingress")] = ""


class Pages(Section, frozen=True, kw_only=True):
    """`[pages]`: an answer that is too long for a message has a page of its own."""

    base_url: Annotated[
        str, Meta(description="how users reach ingress, as `https://host`; empty: no pages")
    ] = ""
    key: Annotated[
        Secret, Meta(description="signs the addresses; any long random text, required by base_url")
    ] = field(default_factory=Secret)
    min_bytes: Annotated[int, Meta(ge=1, description="of UTF-8: shorter answers have no page")] = (
        2000
    )
    ttl: Annotated[float, Meta(gt=0, le=2_592_000, description="how long an address works")] = (
        604_800.0
    )
    link: Annotated[str, Meta(description="said with the address; `{url}` stands for it")] = (
        "完整回答：{url}"
    )
    title: Annotated[str, Meta(description="of the page")] = "完整回答"
    notice: Annotated[str, Meta(description="that an AI wrote it, as the law asks")] = (
        "本页内容由人工智能生成，仅供参考"
    )
    assets: Assets = field(default_factory=Assets)
    max_streams: Annotated[
        int, Meta(ge=0, description="pages that one replica keeps up to date at once")
    ] = 1000
    heartbeat: Annotated[
        float, Meta(gt=0, description="seconds between signs of life on a page being written")
    ] = 15.0
