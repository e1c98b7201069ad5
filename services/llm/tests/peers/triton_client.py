"""Asks one question through Triton's own client: `triton_client.py HOST:PORT MODEL KEY QUESTION`.

Prints what it hears as one line of JSON.
"""

import json
import queue
import sys

import numpy
from tritonclient.grpc import InferenceServerClient, InferInput

address, model, key, question = sys.argv[1:]
prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
sampling = {"max_tokens": 1024, "stop": ["<|im_end|>"]}


def tensor(name, datatype, value):
    made = InferInput(name, [1], datatype)
    made.set_data_from_numpy(numpy.array([value], dtype=bool if datatype == "BOOL" else object))
    return made


inputs = [
    tensor("text_input", "BYTES", prompt.encode()),
    tensor("stream", "BOOL", True),
    tensor("sampling_parameters", "BYTES", json.dumps(sampling).encode()),
]
heard = queue.Queue()
client = InferenceServerClient(address)
client.start_stream(
    lambda result, error: heard.put((result, error)), headers={"authorization": f"Bearer {key}"}
)
client.async_stream_infer(model, inputs)
client.stop_stream()  # waits for the end of the answer
said = {"texts": [], "errors": []}
while not heard.empty():
    result, error = heard.get()
    if error is not None:
        said["errors"].append(str(error))
    else:
        said["texts"].append(result.as_numpy("text_output")[0].decode())
sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
