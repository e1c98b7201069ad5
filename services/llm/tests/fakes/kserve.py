"""The Open Inference Protocol over gRPC, as Triton and MLServer speak it: strict about tensors."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from queqiao_common.settings import Kserve, Model, Secret
from queqiao_llm._generated.open_inference_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)

from services.llm.tests.fakes.relay import relaying
from services.llm.tests.fakes.scenes import KEY, NAME, Play, Scene, words_of

TURN = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>\n", re.DOTALL)
SAMPLING = {"max_tokens": 1024, "stop": ["<|im_end|>"]}
SERVICE = "inference.GRPCInferenceService"


def triton(url: str, key: str = KEY) -> Model:
    """VLLM behind Triton: the defaults."""
    return Model(id="main", protocol="kserve", base_url=url, model=NAME, api_key=Secret(key))


def mlserver(url: str, key: str = KEY, *, streaming: bool = True) -> Model:
    """A model of one's own behind MLServer: one tensor in, one tensor out."""
    names = Kserve(
        template="messages",
        streaming=streaming,
        input="messages",
        output="answer",
        stream_input="",
        sampling_input="",
        batched=True,
        content_type="str",
    )
    return Model(
        id="main",
        protocol="kserve",
        base_url=url,
        model=NAME,
        api_key=Secret(key),
        kserve=names,
    )


def mlserver_whole(url: str, key: str = KEY) -> Model:
    """The same model, asked for the whole answer at once."""
    return mlserver(url, key, streaming=False)


@asynccontextmanager
async def serving_triton(scene: Scene) -> AsyncIterator[Play]:
    async with _serving(Triton(Play(scene))) as play:
        yield play


@asynccontextmanager
async def serving_mlserver(scene: Scene) -> AsyncIterator[Play]:
    async with _serving(MlServer(Play(scene))) as play:
        yield play


@asynccontextmanager
async def _serving(fake) -> AsyncIterator[Play]:
    server = grpc.aio.server()
    methods = {
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(fake.stream),
        "ModelInfer": grpc.unary_unary_rpc_method_handler(fake.whole),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with relaying(port) as relay:
            fake.relay = relay
            fake.play.url = f"grpc://127.0.0.1:{relay.port}"
            yield fake.play
    finally:
        await server.stop(None)


class _Fake:
    """What both have in common: a question is checked, heard, and answered by the scene."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.relay = None

    async def stream(self, questions, context):
        [question] = [ModelInferRequest.FromString(one) async for one in questions]
        heard = await self._hear(question, context)
        if self.play.scene is Scene.ERROR:
            yield await self.error(heard, context)
        parts = self.play.parts(heard)
        if self.play.scene is Scene.CUT:
            self.relay.last_words = parts[-1].encode()
        for part in parts:
            yield self.framed(self.response(part))
        if self.play.scene is Scene.CUT:
            await asyncio.Event().wait()
        if self.play.scene is Scene.GARBAGE:
            yield b"<html>"

    async def whole(self, question, context):
        heard = await self._hear(ModelInferRequest.FromString(question), context)
        match self.play.scene:
            case Scene.ERROR:
                await self.error(heard, context)
            case Scene.CUT:
                self.relay.cut()
            case Scene.GARBAGE:
                return b"<html>"
        return self.response("".join(self.play.parts(heard))).SerializeToString()

    async def _hear(self, question, context):
        if ("authorization", f"Bearer {KEY}") not in tuple(context.invocation_metadata()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
        if question.model_name != NAME:
            await context.abort(grpc.StatusCode.NOT_FOUND, question.model_name)
        heard = self.play.heard = self.heard(question)
        match self.play.scene:
            case Scene.RATE_LIMITED:
                wish = (("grpc-retry-pushback-ms", "7000"),)
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slowly", wish)
            case Scene.HANG:
                await self.play.hang()
        return heard

    def outputs(self, name, shape):
        tensor = ModelInferResponse.InferOutputTensor(name=name, datatype="BYTES", shape=shape)
        return ModelInferResponse(model_name=NAME, model_version="1", outputs=[tensor])


class Triton(_Fake):
    """Wraps what it streams, tells errors within the stream, and sends tensors raw."""

    def heard(self, question):
        assert all(list(one.shape) == [1] for one in question.inputs)
        values = {one.name: self._value(question, one) for one in question.inputs}
        assert values["stream"] is True
        assert json.loads(values["sampling_parameters"]) == SAMPLING
        text = values["text_input"].decode()
        assert TURN.sub("", text) == "<|im_start|>assistant\n"
        return TURN.findall(text)

    def _value(self, question, tensor):
        """Read a tensor as Triton's own client writes it, or as the protocol allows as well."""
        if not question.raw_input_contents:
            contents = tensor.contents
            return (contents.bytes_contents or contents.bool_contents)[0]
        raw = question.raw_input_contents[list(question.inputs).index(tensor)]
        return raw[4:] if tensor.datatype == "BYTES" else bool(raw[0])

    def response(self, text):
        response = self.outputs("text_output", [1])
        octets = text.encode()
        response.raw_output_contents.append(len(octets).to_bytes(4, "little") + octets)
        return response

    def framed(self, response):
        return ModelStreamInferResponse(infer_response=response).SerializeToString()

    async def error(self, heard, context):
        said = ModelStreamInferResponse(error_message=words_of("failed", heard))
        said.infer_response.SetInParent()
        return said.SerializeToString()


class MlServer(_Fake):
    """Streams responses as they are, and tells errors by the call's status."""

    def heard(self, question):
        [tensor] = question.inputs
        assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("messages", "BYTES", [1, 1])
        assert tensor.parameters["content_type"].string_param == "str"
        messages = json.loads(tensor.contents.bytes_contents[0])
        return [(one["role"], one["content"]) for one in messages]

    def response(self, text):
        response = self.outputs("answer", [1, 1])
        response.outputs[0].contents.bytes_contents.append(text.encode())
        return response

    def framed(self, response):
        return response.SerializeToString()

    async def error(self, heard, context):
        await context.abort(grpc.StatusCode.INTERNAL, words_of("failed", heard))
