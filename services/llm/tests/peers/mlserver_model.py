"""A model of one's own for MLServer: it says the question back, a character at a time."""

import json

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceResponse


class Echo(MLModel):
    async def predict(self, payload):
        return self._response(f"答：{self._question(payload)}")

    async def predict_stream(self, payloads):
        async for payload in payloads:
            question = self._question(payload)
            if question == "fail":
                raise RuntimeError(f"cannot answer {question}")
            for character in f"答：{question}":
                yield self._response(character)

    def _question(self, payload):
        [messages] = self.decode(payload.inputs[0])
        return json.loads(messages)[-1]["content"]

    def _response(self, text):
        output = StringCodec.encode_output("answer", [text])
        return InferenceResponse(model_name=self.name, outputs=[output])
