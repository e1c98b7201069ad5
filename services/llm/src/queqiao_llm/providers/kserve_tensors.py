"""A prompt as the tensors of the Open Inference Protocol, and tensors as an answer. Pure."""

import codecs
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from queqiao_common.settings import Model

from queqiao_llm._generated.open_inference_pb2 import (
    EitherStreamResponse,
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
)
from queqiao_llm.completion import MAX_ANSWER, Chunk, Message, ModelFailed, Reason

TURN_END = "<|im_end|>"
MAX_TOKENS = 1024
"""Where the settings name none: vLLM's own default ends an answer after 16 tokens."""
LENGTH = 4
"""Bytes before each element of a raw BYTES tensor: its length, little-endian."""

Tensor = ModelInferRequest.InferInputTensor


def request_of(model: Model, prompt: tuple[Message, ...]) -> ModelInferRequest:
    """Return the request that puts a prompt before the model."""
    names = model.kserve
    shape = [1, 1] if names.batched else [1]
    text = TEMPLATES[names.template](prompt)
    inputs = [_bytes(names.input, shape, text, names.content_type)]
    if names.stream_input:
        flag = InferTensorContents(bool_contents=[names.streaming])
        inputs.append(Tensor(name=names.stream_input, datatype="BOOL", shape=shape, contents=flag))
    if names.sampling_input:
        inputs.append(_bytes(names.sampling_input, shape, msgspec.json.encode(_sampling(model))))
    return ModelInferRequest(model_name=model.model, inputs=inputs)


def _bytes(name: str, shape: list[int], value: bytes, content_type: str = "") -> Tensor:
    parameters = {"content_type": InferParameter(string_param=content_type)} if content_type else {}
    return Tensor(
        name=name,
        datatype="BYTES",
        shape=shape,
        parameters=parameters,
        contents=InferTensorContents(bytes_contents=[value]),
    )


def _sampling(model: Model) -> dict[str, Any]:
    sampling: dict[str, Any] = {"max_tokens": model.max_tokens or MAX_TOKENS}
    if model.temperature is not None:
        sampling["temperature"] = model.temperature
    if model.kserve.template == "chatml":
        sampling["stop"] = [TURN_END]
    return sampling


def chatml(prompt: tuple[Message, ...]) -> bytes:
    """Render a prompt as ChatML, up to where the assistant speaks.

    What users write cannot end their turn: the marks within a message are broken up.
    """
    turns = [
        f"<|im_start|>{one.role}\n{one.content.replace('<|im_', '<| im_')}{TURN_END}\n"
        for one in prompt
    ]
    return "".join([*turns, "<|im_start|>assistant\n"]).encode()


TEMPLATES = {"chatml": chatml, "messages": msgspec.json.Encoder().encode}


class AnswerReader:
    """Turns the messages of a server into chunks. A character may come in several of them."""

    def __init__(self, model: Model) -> None:
        self._model = model.model
        self._output = model.kserve.output
        self._streaming = model.kserve.streaming
        self._characters = codecs.getincrementaldecoder("utf-8")()
        self._size = 0

    def feed(self, message: bytes) -> Chunk | None:
        """Return what a message adds to the answer, if anything.

        Raises:
            ModelFailed: it is no such message, or an error that the server sent within the stream.
        """
        self._size += len(message)
        if self._size > MAX_ANSWER:
            raise ModelFailed(Reason.GARBAGE, detail=f"more than {MAX_ANSWER} bytes")
        response = self._response(message)
        text = self._decoded(_value(response, self._output))
        return Chunk(text) if text else None

    def finish(self) -> Chunk:
        """Return the last chunk, once the server has ended the call without an error."""
        return Chunk(self._decoded(b"", final=True), done=True)

    def _response(self, message: bytes) -> ModelInferResponse:
        try:
            if self._streaming:
                message = _unwrapped(message, self._model)
            return ModelInferResponse.FromString(message)
        except DecodeError as error:
            raise ModelFailed(Reason.GARBAGE, detail="not a response") from error

    def _decoded(self, octets: bytes, *, final: bool = False) -> str:
        try:
            return self._characters.decode(octets, final)
        except UnicodeDecodeError as error:
            raise ModelFailed(Reason.GARBAGE, detail="not UTF-8") from error


def _unwrapped(message: bytes, model: str) -> bytes:
    """Return the `ModelInferResponse` within what `ModelStreamInfer` sent.

    Triton wraps it beside an error message, MLServer does not; both say nothing of which they are.
    Field 1 is MLServer's model name or Triton's error message, and only responses have outputs.

    Raises:
        DecodeError: it is no message at all.
        ModelFailed: it is Triton's error; its words may quote the prompt.
    """
    either = EitherStreamResponse.FromString(message)
    if either.outputs or either.model_name_or_error_message == model.encode():
        return message
    if either.model_name_or_error_message:
        raise ModelFailed(Reason.SERVER_ERROR, detail="error in the stream")
    return either.model_version_or_infer_response


def _value(response: ModelInferResponse, output: str) -> bytes:
    """Return the bytes of the answer's tensor; nothing for a response that has no tensors.

    Raises:
        ModelFailed: none of the tensors is the answer's, or it does not hold what it says.
    """
    if not response.outputs:
        return b""
    texts = [place for place, one in enumerate(response.outputs) if one.datatype == "BYTES"]
    named = [place for place in texts if response.outputs[place].name == output]
    if len(found := named or texts) != 1:
        raise ModelFailed(Reason.GARBAGE, detail=f"no tensor {output}")
    [place] = found
    if response.raw_output_contents:
        return _first_raw(response, place)
    values = response.outputs[place].contents.bytes_contents
    return values[0] if values else b""


def _first_raw(response: ModelInferResponse, place: int) -> bytes:
    if place >= len(response.raw_output_contents):
        raise ModelFailed(Reason.GARBAGE, detail="a tensor without contents")
    raw = response.raw_output_contents[place]
    end = LENGTH + int.from_bytes(raw[:LENGTH], "little")
    if raw and len(raw) < max(end, LENGTH):
        raise ModelFailed(Reason.GARBAGE, detail="a tensor cut short")
    return raw[LENGTH:end]
