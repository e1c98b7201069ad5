"""What answers are looked up in."""

from typing import Annotated

from msgspec import Meta, field

from queqiao_common.settings.base import Secret, Section


class Knowledge(Section, frozen=True, kw_only=True):
    """`[knowledge]`: how documents are searched before a model answers. Scores go from 0 to 1."""

    enabled: bool = True
    passages: Annotated[int, Meta(ge=1, le=20, description="given to a model at most")] = 4
    max_chars: Annotated[int, Meta(ge=200, description="of all passages together")] = 2400
    least: Annotated[
        float,
        Meta(ge=0, le=1, description="how much of what is asked a passage must speak of"),
    ] = 0.15
    chunk_chars: Annotated[
        int, Meta(ge=100, le=4000, description="of one chunk; changes what is added from now on")
    ] = 500
    overlap_chars: Annotated[
        int, Meta(ge=0, le=500, description="that a chunk repeats of the one before it")
    ] = 80
    max_file: Annotated[int, Meta(ge=1024, description="bytes of a file that is added")] = (
        20 * 1024 * 1024
    )
    timeout: Annotated[
        float, Meta(gt=0, description="seconds for a search; then it is answered without")
    ] = 3.0
    embed: Annotated[
        str,
        Meta(description="id of the model whose `/embeddings` finds by meaning; empty: by words"),
    ] = ""
    least_similar: Annotated[
        float, Meta(ge=0, le=1, description="cosine at which a passage is found by meaning alone")
    ] = 0.6
    qdrant_url: Annotated[
        str, Meta(description="search in Qdrant instead of this process, above 100,000 chunks")
    ] = ""
    qdrant_api_key: Secret = field(default_factory=Secret)
    qdrant_collection: Annotated[str, Meta(min_length=1, description="its name there")] = "queqiao"
    unknown: Annotated[str, Meta(description="where nothing is found; models are told it too")] = (
        "抱歉，这个问题我手头的资料里没有答案。"
    )
    offer: Annotated[
        str,
        Meta(description="said after it where a person can be asked; `{word}` calls for one"),
    ] = "需要人工帮助的话，请回复「{word}」。"
