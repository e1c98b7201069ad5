"""Our providers against servers that others wrote, and our fakes against clients that others wrote.

Each needs something that is not installed with the tests: a variable says where it is (README).
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from queqiao_common.settings import Kserve, Model, Secret, environment
from queqiao_common.testing import eventually
from queqiao_llm.completion import Message, ModelFailed, Question, Reason
from queqiao_llm.providers.opening import open_providers
from queqiao_localmodel.weights import cache_folder, cached
from queqiao_testbed.ports import free_ports

from services.llm.tests.fakes import kserve, spark
from services.llm.tests.fakes.scenes import APP, KEY, NAME, SECRET, Scene

pytestmark = pytest.mark.slow
PEERS = Path(__file__).parent / "peers"


def needs(variable, what):
    return pytest.mark.skipif(not environment(variable), reason=f"{variable} names no {what}")


needs_mlserver = needs("QUEQIAO_MLSERVER_PYTHON", "python that has mlserver")
needs_litellm = needs("QUEQIAO_LITELLM_PYTHON", "python that has litellm[proxy]")
needs_spark = needs("QUEQIAO_SPARK_PYTHON", "python that has spark-ai-python")
needs_triton = needs("QUEQIAO_TRITON_PYTHON", "python that has tritonclient[grpc]")
needs_aimock = needs("QUEQIAO_AIMOCK", "folder in which npm installed @copilotkit/aimock")
needs_weights = pytest.mark.skipif(
    cached(cache_folder()) is None,
    reason="no weights: run `python -m queqiao_localmodel --prepare` first",
)


@asynccontextmanager
async def running(*command, ready, folder, variables=None):
    """A server in a process of its own, from when it says that it is ready to the end of the block.

    `ready` is an address that answers 200 from then on.
    """
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, cwd=folder, env=variables
        )
    try:
        async with httpx.AsyncClient() as http:
            await eventually(
                lambda: process.returncode is not None or says_ok(http, ready), within=90
            )
        assert process.returncode is None, log.read_text("utf-8")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def says_ok(http, address):
    try:
        return (await http.get(address)).is_success
    except httpx.HTTPError:
        return False


def script(variable, name):
    """A command that was installed beside the python that a variable names."""
    return str(Path(environment(variable)).with_name(name))


async def answered(model, question, *before):
    async with open_providers([model], connections=2) as providers:
        prompt = (*before, Message("user", question))
        return [chunk async for chunk in providers[model.id][0].complete(Question(prompt))]


async def refused(model, question="你好"):
    with pytest.raises(ModelFailed) as error:
        await answered(model, question)
    return error.value


def texts(chunks):
    return [chunk.text for chunk in chunks if chunk.text]


@pytest.fixture(scope="module")
async def mlserver(tmp_path_factory):
    folder, (grpc_port, http_port) = tmp_path_factory.mktemp("mlserver"), free_ports()
    (folder / "echo.py").write_text((PEERS / "mlserver_model.py").read_text("utf-8"), "utf-8")
    model = {"name": NAME, "implementation": "echo.Echo"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    server = {
        "grpc_port": grpc_port,
        "http_port": http_port,
        "metrics_port": free_ports()[0],
        "parallel_workers": 0,
        "gzip_enabled": False,  # it would hold back a stream
    }
    (folder / "settings.json").write_text(json.dumps(server))
    command = [script("QUEQIAO_MLSERVER_PYTHON", "mlserver"), "start", "."]
    ready = f"http://127.0.0.1:{http_port}/v2/models/{NAME}/ready"
    async with running(*command, ready=ready, folder=folder):
        yield f"grpc://127.0.0.1:{grpc_port}"


def echo(url, name=NAME, *, streaming=True):
    names = Kserve(
        template="messages",
        streaming=streaming,
        stream_input="",
        sampling_input="",
        content_type="str",
    )
    return Model(id="main", protocol="kserve", base_url=url, model=name, kserve=names)


@needs_mlserver
async def test_mlserver_streams_an_answer(mlserver):
    chunks = await answered(echo(mlserver), "世界")

    assert texts(chunks) == ["答", "：", "世", "界"]
    assert chunks[-1].done


@needs_mlserver
async def test_mlserver_gives_a_whole_answer(mlserver):
    assert texts(await answered(echo(mlserver, streaming=False), "世界")) == ["答：世界"]


@needs_mlserver
async def test_mlserver_refuses_a_model_that_it_does_not_have(mlserver):
    failure = await refused(echo(mlserver, "other"))

    assert (failure.reason, failure.status) == (Reason.REFUSED, 404)


@needs_mlserver
async def test_an_error_of_mlserver_s_model_is_a_server_error(mlserver):
    failure = await refused(echo(mlserver), "fail")

    assert failure.reason is Reason.SERVER_ERROR


@pytest.fixture(scope="module")
async def litellm(tmp_path_factory):
    folder, (port, _) = tmp_path_factory.mktemp("litellm"), free_ports()
    models = {NAME: "你好，这里是网关。", "limited": "litellm.RateLimitError"}
    entries = [
        {
            "model_name": name,
            "litellm_params": {"model": "openai/x", "api_key": "x", "mock_response": said},
        }
        for name, said in models.items()
    ]
    config = {
        "model_list": entries,
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "general_settings": {"master_key": "sk-right"},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [script("QUEQIAO_LITELLM_PYTHON", "litellm"), "--config", "config.yaml"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    ready = f"http://127.0.0.1:{port}/health/liveliness"
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(folder)}
    async with running(*command, ready=ready, folder=folder, variables=variables):
        yield f"http://127.0.0.1:{port}/v1"


def behind(url, name=NAME, key="sk-right"):
    return Model(id="main", base_url=url, model=name, api_key=Secret(key))


@needs_litellm
async def test_a_litellm_gateway_streams_an_answer(litellm):
    chunks = await answered(behind(litellm), "你好")

    assert len(texts(chunks)) > 1
    assert "".join(texts(chunks)) == "你好，这里是网关。"
    assert chunks[-1].finish == "stop"


@needs_litellm
async def test_a_litellm_gateway_s_limit_is_a_limit(litellm):
    assert (await refused(behind(litellm, "limited"))).reason is Reason.RATE_LIMITED


@needs_litellm
async def test_a_litellm_gateway_refuses_a_wrong_key(litellm):
    assert (await refused(behind(litellm, key="sk-wrong"))).reason is Reason.REFUSED


@needs_weights
async def test_llama_cpp_answers_through_the_openai_protocol(tmp_path):
    port, _ = free_ports()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "queqiao_localmodel", "--port", str(port)]
    async with running(*command, ready=f"{address}/health", folder=tmp_path):
        chunks = await answered(behind(f"{address}/v1", "local"), "中国的首都是哪里？")

    assert "北京" in "".join(texts(chunks))
    assert len(texts(chunks)) > 1
    assert chunks[-1].usage


@pytest.fixture(scope="module")
async def aimock(tmp_path_factory):
    folder, (port, _) = tmp_path_factory.mktemp("aimock"), free_ports()
    fixtures = [
        {"match": {"userMessage": "鹊桥在哪里"}, "response": {"content": "在银河之上，七夕可渡。"}},
        {"match": {"userMessage": "fail"}, "response": {"error": {"message": "no", "type": "x"}}},
    ]
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    package = Path(environment("QUEQIAO_AIMOCK")) / "node_modules/@copilotkit/aimock"
    command = ["node", str(package / "dist" / "cli.js"), "-p", str(port), "-c", "3"]
    command += ["-f", "fixtures.json"]
    ready = f"http://127.0.0.1:{port}/health"
    variables = {"PATH": environment("PATH"), "AIMOCK_API_KEYS": "right-key"}
    async with running(*command, ready=ready, folder=folder, variables=variables):
        yield f"ws://127.0.0.1:{port}/v1"


def spoken(url, key="right-key"):
    return Model(
        id="main", protocol="realtime", base_url=url, model="gpt-realtime", api_key=Secret(key)
    )


@needs_aimock
async def test_aimock_streams_an_answer_over_the_realtime_protocol(aimock):
    before = (
        Message("system", "你是助手"),
        Message("user", "你好"),
        Message("assistant", "你好！"),
    )
    chunks = await answered(spoken(aimock), "鹊桥在哪里？", *before)

    assert len(texts(chunks)) > 1
    assert "".join(texts(chunks)) == "在银河之上，七夕可渡。"
    assert chunks[-1].done


@needs_aimock
async def test_aimock_s_errors_have_their_reasons(aimock):
    assert (await refused(spoken(aimock), "fail")).reason is Reason.SERVER_ERROR
    assert (await refused(spoken(aimock, "wrong"))).status == 401


async def hears(variable, client, *arguments):
    """What a client that others wrote makes of our fake, as it prints it."""
    command = [environment(variable), str(PEERS / client), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return json.loads(output.splitlines()[-1])


async def sdk_hears(scene, key=KEY):
    async with spark.serving(scene) as play:
        arguments = (play.url, APP, key, SECRET, NAME, "鹊桥在哪里？")
        return await hears("QUEQIAO_SPARK_PYTHON", "spark_client.py", *arguments)


@needs_spark
async def test_iflytek_s_own_sdk_understands_our_fake():
    """What our provider is tested against speaks as the platform does."""
    heard = await sdk_hears(Scene.STREAMED)

    assert heard["error"] == ""
    assert "".join(heard["chunks"]) == "答：鹊桥在哪里？"
    assert len(heard["chunks"]) > 1
    assert heard["usage"]["completion_tokens"] == 5


@needs_spark
async def test_iflytek_s_own_sdk_understands_our_fake_s_errors():
    assert "11202" in (await sdk_hears(Scene.RATE_LIMITED))["error"]
    assert (await sdk_hears(Scene.STREAMED, key="wrong"))["error"]


async def triton_client_hears(scene):
    async with kserve.serving_triton(scene) as play:
        address = play.url.removeprefix("grpc://")
        return await hears("QUEQIAO_TRITON_PYTHON", "triton_client.py", address, NAME, KEY, "你好")


@needs_triton
async def test_triton_s_own_client_understands_our_fake():
    heard = await triton_client_hears(Scene.STREAMED)

    assert heard["errors"] == []
    assert "".join(heard["texts"]) == "答：你好"
    assert len(heard["texts"]) > 1


@needs_triton
async def test_triton_s_own_client_understands_our_fake_s_errors():
    [error] = (await triton_client_hears(Scene.ERROR))["errors"]

    assert "failed" in error
