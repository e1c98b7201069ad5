"""llama.cpp's own server, in this process, told how this small model wants to be asked."""

import xllamacpp

from queqiao_localmodel.weights import Weights

PARALLEL = 4
MAX_TOKENS = 256  # of an answer, unless the client says otherwise: longer ones repeat themselves
REPEAT_PENALTY = 1.08
REMEMBERED = 5  # messages: the question, and the two exchanges before it

# Persona and long history confuse a model of this size (measured: README). The first loop only
# looks at the system message: llama.cpp would put one that a template ignores before the question.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
  {%- set content = message['content'] -%}
  {%- if message['role'] == 'system' and content == '' -%}{%- endif -%}
{%- endfor -%}
<|im_start|>system
You are a helpful assistant<|im_end|>
{% set talk = messages | rejectattr('role', 'equalto', 'system') | list -%}
{%- for message in talk[-REMEMBERED:] -%}
<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
""".replace("REMEMBERED", str(REMEMBERED))


class ServerError(Exception):
    """The server did not start, for the reason in the text."""


def parameters(weights: Weights, host: str, port: int) -> xllamacpp.CommonParams:
    """Everything that llama.cpp is told; what a client asks for wins."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights.path)
    settings.model_alias = [weights.name, "local"]
    settings.hostnames = [host]
    settings.port = port
    settings.chat_template = CHAT_TEMPLATE
    settings.n_parallel = PARALLEL
    settings.n_ctx = weights.context * PARALLEL  # llama.cpp divides it
    settings.n_predict = MAX_TOKENS
    _sample_carefully(settings)
    _stay_small(settings)
    return settings


def _sample_carefully(settings: xllamacpp.CommonParams) -> None:
    settings.sampling.temp = 0.0
    settings.sampling.penalty_repeat = REPEAT_PENALTY
    # Greedy even for a client that sends a temperature: at 0.7 this model drifts.
    settings.sampling.top_k = 1


def _stay_small(settings: xllamacpp.CommonParams) -> None:
    # With two threads on two busy cores, they wait for each other: 3 tokens a second were seen.
    settings.cpuparams.n_threads = 1
    settings.cpuparams_batch.n_threads = 1
    settings.cache_ram_mib = 0
    settings.ui = False
    settings.endpoint_slots = False
    settings.cors_origins = ""
    settings.verbosity = 0


def start(weights: Weights, host: str, port: int) -> xllamacpp.Server:
    """A server that answers already. It stops when the last reference to it goes.

    Raises:
        ServerError: the port is taken, or llama.cpp refuses the file.
    """
    try:
        return xllamacpp.Server(parameters(weights, host, port))
    except RuntimeError as error:
        where = f"{host}:{port} with {weights.path}"
        raise ServerError(
            f"llama.cpp cannot serve {where}; is the port taken? ({error})"
        ) from error
