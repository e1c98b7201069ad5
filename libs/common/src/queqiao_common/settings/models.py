"""Models and how they are asked."""

from typing import Annotated, Literal

from msgspec import Meta, field

from queqiao_common.settings.base import Secret, Section


class Kserve(Section, frozen=True, kw_only=True):
    """`[models.kserve]`: the tensors of a model behind the protocol `kserve`.

    The defaults suit vLLM behind Triton. For other servers, leave out what they do not know.
    """

    template: Annotated[
        Literal["chatml", "messages"],
        Meta(description="what the prompt becomes: ChatML text, or JSON as in the OpenAI protocol"),
    ] = "chatml"
    streaming: Annotated[
        bool, Meta(description="ask by ModelStreamInfer; false: by ModelInfer, for a whole answer")
    ] = True
    input: Annotated[str, Meta(min_length=1, description="tensor of the prompt")] = "text_input"
    output: Annotated[
        str, Meta(description="tensor of the answer; a server's only text tensor is it anyway")
    ] = "text_output"
    stream_input: Annotated[
        str, Meta(description="BOOL tensor that asks for a stream; empty: none is sent")
    ] = "stream"
    sampling_input: Annotated[
        str,
        Meta(description="tensor of temperature, max_tokens and stop as JSON; empty: none is sent"),
    ] = "sampling_parameters"
    batched: Annotated[
        bool, Meta(description="tensors have the shape [1, 1] instead of [1]: the model batches")
    ] = False
    content_type: Annotated[
        str, Meta(description="of the prompt's tensor; MLServer's codecs want `str`")
    ] = ""


class Model(Section, frozen=True, kw_only=True):
    """One `[[models]]` entry. Durations are seconds."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="the name that routes use")]
    protocol: Annotated[
        Literal["openai", "kserve", "spark", "realtime"],
        Meta(
            description="OpenAI chat (REST, SSE), KServe (gRPC: Triton, MLServer), "
            "iFlytek Spark (WebSocket), OpenAI Realtime (WebSocket)"
        ),
    ] = "openai"
    base_url: Annotated[
        str,
        Meta(
            description="openai: `https://host/v1`; kserve: `grpcs://host:port`; spark: "
            "`wss://host/v3.5/chat`; realtime: `wss://host/v1`; without the `s`: no TLS"
        ),
    ]
    model: Annotated[str, Meta(description="the name the endpoint knows it by; spark: the domain")]
    api_key: Secret = field(default_factory=Secret)
    api_secret: Annotated[Secret, Meta(description="spark alone: signs the address")] = field(
        default_factory=Secret
    )
    app_id: Annotated[str, Meta(description="spark alone: the application's id")] = ""
    kserve: Kserve = field(default_factory=Kserve)
    timeout: Annotated[float, Meta(gt=0, description="for the whole answer")] = 30.0
    first_token_timeout: Annotated[float, Meta(gt=0)] = 10.0
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    retries: Annotated[int, Meta(ge=0, le=5, description="on the same model, before any text")] = 1
    breaker_failures: Annotated[
        int, Meta(ge=1, description="failures in a row that open the circuit")
    ] = 5
    breaker_pause: Annotated[
        float, Meta(gt=0, description="how long it stays open before one trial")
    ] = 15.0


class LlmSettings(Section, frozen=True, kw_only=True):
    """`[llm]`: how answers are cut."""

    segment_bytes: Annotated[
        int, Meta(ge=1, description="a piece is closed at the first paragraph end after this")
    ] = 600
    concurrency: Annotated[int, Meta(ge=1, description="turns at once in one replica")] = 64
