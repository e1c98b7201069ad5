"""Models and how they are asked."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from queqiao_common.settings.base import Secret, Section

Limit = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0)]


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
    api_keys: Annotated[
        tuple[Secret, ...],
        Meta(description="several, instead of `api_key`: the least used is taken; not for spark"),
    ] = ()
    api_secret: Annotated[Secret, Meta(description="spark alone: signs the address")] = field(
        default_factory=Secret
    )
    app_id: Annotated[str, Meta(description="spark alone: the application's id")] = ""
    kserve: Kserve = field(default_factory=Kserve)
    timeout: Annotated[float, Meta(gt=0, description="for the whole answer")] = 30.0
    first_token_timeout: Annotated[float, Meta(gt=0)] = 10.0
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    parameters: Annotated[
        dict[str, Any],
        Meta(description="openai alone: further fields of each request, like `response_format`"),
    ] = field(default_factory=dict)
    retries: Annotated[int, Meta(ge=0, le=5, description="on the same model, before any text")] = 1
    breaker_failures: Annotated[
        int, Meta(ge=1, description="failures in a row that open the circuit")
    ] = 5
    breaker_pause: Annotated[
        float, Meta(gt=0, description="how long it stays open before one trial")
    ] = 15.0
    weight: Annotated[
        Share | None,
        Meta(
            description="neighbours in a route that have one take turns to be first, by chance and "
            "in this proportion"
        ),
    ] = None
    requests_per_minute: Annotated[
        Limit | None, Meta(description="with each key, of all replicas together")
    ] = None
    tokens_per_minute: Annotated[
        Limit | None, Meta(description="in and out, with each key, of all replicas together")
    ] = None
    concurrency: Annotated[
        Limit | None, Meta(description="answers at once, with each key, of all replicas together")
    ] = None
    vision: Annotated[bool, Meta(description="it understands pictures")] = False
    input_price: Annotated[
        float, Meta(ge=0, description="for a million tokens, in `[budgets] currency`")
    ] = 0.0
    output_price: Annotated[float, Meta(ge=0, description="likewise")] = 0.0

    def __hash__(self) -> int:
        return hash(self.id)  # which is unique; further parameters have no hash

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Its keys: at least one, which may be empty."""
        return self.api_keys or (self.api_key,)

    @property
    def is_limited(self) -> bool:
        """Whether its provider allows only so much, of all replicas together."""
        limits = (self.requests_per_minute, self.tokens_per_minute, self.concurrency)
        return any(limit is not None for limit in limits)


class LlmSettings(Section, frozen=True, kw_only=True):
    """`[llm]`: how answers are cut, and how they are raced for."""

    segment_bytes: Annotated[
        int, Meta(ge=1, description="a piece is closed at the first paragraph end after this")
    ] = 600
    concurrency: Annotated[int, Meta(ge=1, description="turns at once in one replica")] = 64
    hedge: Annotated[
        bool,
        Meta(
            description="ask the next model too when the first is later than in 19 of 20 cases; "
            "whoever speaks first answers"
        ),
    ] = False
