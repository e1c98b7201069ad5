"""What operators do with documents, on a real broker."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from queqiao_cli.knowledge import commands
from queqiao_cli.knowledge.stored import digests
from queqiao_common import provision
from queqiao_common.bus import Bus, connect
from queqiao_common.errors import PermanentError, SettingsError
from queqiao_common.follow import Follower
from queqiao_common.knowledge import decode_document
from queqiao_common.objects import JetStreamObjects
from queqiao_common.settings import Nats, load
from queqiao_common.testing import eventually
from queqiao_common.topology import DAY, KNOWLEDGE
from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.library import Library

from tools.cli.tests.knowledge.files import docx_file, pdf_file

pytestmark = pytest.mark.broker

CONFIG = """
[nats]
url = "{url}"
stream_bytes = 0.01
[[accounts]]
id = "main"
appid = "wx1"
token = "abcdef"
[[models]]
id = "m"
base_url = "http://model/v1"
model = "some-model"
[personas.service]
knowledge = ["faq"]
"""
FAQ = "问题,答案\n退款多久到账,三个工作日内原路退回。\n怎么开发票,在订单页申请。\n"


@pytest.fixture
async def bus(nats_url) -> AsyncIterator[Bus]:
    bus = await connect(Nats(url=nats_url), "test")
    await provision.apply_patiently(bus, scale=0.01)
    yield bus
    await bus.api(f"STREAM.PURGE.{KNOWLEDGE.stream}")
    await bus.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "资料"
    folder.mkdir()
    (folder / "常见问题.csv").write_bytes(FAQ.encode("gb18030"))
    (folder / "退款.md").write_text("# 退款\n\n## 条件\n\n七天内未使用。", encoding="utf-8")
    (folder / "manual.pdf").write_bytes(pdf_file("Press the red button to reset"))
    (folder / "手册.docx").write_bytes(docx_file(("Heading 1", "保修"), ("Normal", "一年。")))
    (folder / "说明.xlsx").write_bytes(b"never looked at")
    return folder


@pytest.fixture
def options(nats_url, tmp_path: Path):
    config = tmp_path / "queqiao.toml"
    config.write_text(CONFIG.format(url=nats_url), encoding="utf-8")

    def given(**fields) -> argparse.Namespace:
        usual = {"config": config, "collection": "faq", "title": None}
        return argparse.Namespace(**(usual | fields))

    return given


async def test_a_folder_is_taken_in_and_listed(bus, options, folder, capsys):
    assert await commands.add(options(paths=[folder])) == 0
    assert await commands.list_documents(options()) == 0

    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[-4:]} == {
        "faq/manual.pdf",
        "faq/常见问题.csv",
        "faq/手册.docx",
        "faq/退款.md",
    }
    assert len(await digests(bus)) == 4


async def test_adding_again_changes_nothing_unless_the_file_has(bus, options, folder, capsys):
    file = folder / "退款.md"
    await commands.add(options(paths=[file]))
    before = await digests(bus)
    await commands.add(options(paths=[file]))
    assert await digests(bus) == before
    file.write_text("# 退款\n\n十五天内。", encoding="utf-8")

    await commands.add(options(paths=[file]))

    assert "unchanged" in capsys.readouterr().out
    assert (await digests(bus)).keys() == before.keys()
    assert await digests(bus) != before


async def test_what_is_found_for_a_question_is_printed(bus, options, folder, capsys):
    await commands.add(options(paths=[folder]))

    await commands.search(options(question="退款要多久才能到账", collection=None))
    await commands.search(options(question="今天天气怎么样", collection=["faq"]))

    out = capsys.readouterr().out
    assert "三个工作日内原路退回" in out
    assert "没有答案" in out


async def test_a_document_is_shown_with_its_title(bus, options, folder, capsys):
    await commands.add(options(paths=[folder / "常见问题.csv"], title="客服〔常见〕问题"))

    await commands.show(options(document="faq/常见问题.csv"))

    out = capsys.readouterr().out
    assert "客服 常见 问题" in out
    assert "第 2 行" in out


async def test_a_file_that_is_refused_does_not_keep_the_others_out(bus, options, folder, capsys):
    (folder / "坏.pdf").write_text("这不是 PDF", encoding="utf-8")

    assert await commands.add(options(paths=[folder])) == 1

    assert "坏.pdf: named as PDF, but it is none" in capsys.readouterr().err
    assert len(await digests(bus)) == 4


async def test_a_file_that_is_too_large_is_refused(bus, options, folder, capsys, tmp_path):
    with (tmp_path / "queqiao.toml").open("a") as config:
        config.write("[knowledge]\nmax_file = 1024\n")
    (folder / "大.txt").write_text("长" * 1000, encoding="utf-8")

    assert await commands.add(options(paths=[folder / "大.txt"])) == 1

    assert "knowledge.max_file" in capsys.readouterr().err


async def test_a_removed_document_is_gone(bus, options, folder):
    await commands.add(options(paths=[folder / "退款.md"]))

    await commands.remove(options(documents=["faq/退款.md"]))

    assert await digests(bus) == {}
    with pytest.raises(PermanentError, match="no document"):
        await commands.remove(options(documents=["faq/退款.md"]))


async def test_calls_that_cannot_be_meant_are_refused(bus, options, folder, tmp_path):
    other = tmp_path / "退款.md"
    other.write_text("x", encoding="utf-8")

    assert await commands.add(options(paths=[folder], collection="大写")) == 2
    assert await commands.add(options(paths=[folder], title="一个标题")) == 2
    with pytest.raises(SettingsError, match="two files are called"):
        await commands.add(options(paths=[folder, other]))
    with pytest.raises(SettingsError, match="no such file"):
        await commands.add(options(paths=[tmp_path / "nothing"]))
    with pytest.raises(SettingsError, match="qdrant_url"):
        await commands.sync(options())


async def test_vectors_are_kept_beside_the_chunks(bus, options, folder, tmp_path):
    with (tmp_path / "queqiao.toml").open("a") as more:
        more.write('[routes]\ndefault = ["m"]\n[knowledge]\nembed = "m"\n')
    asked = []

    def embed(request):
        asked.extend(json.loads(request.content)["input"])
        vectors = [{"index": at, "embedding": [3.0, 4.0]} for at in range(len(asked))]
        return httpx.Response(200, json={"data": vectors})

    http = httpx.AsyncClient(transport=httpx.MockTransport(embed))
    shelf = commands.Shelf(load(options().config), bus, http)
    await shelf.add(folder / "常见问题.csv", "faq", None)

    stored = await JetStreamObjects(bus, KNOWLEDGE).get("faq/常见问题.csv")
    document = decode_document(stored)
    assert (document.embed, document.dimensions, len(document.vectors)) == ("m", 2, 8)
    assert asked[0] == "退款多久到账\n三个工作日内原路退回。"


async def test_a_replica_hears_of_a_change_from_the_broker(bus, options, folder):
    """What the library reads of the broker's own messages is the broker's to change."""
    library = Library(JetStreamObjects(bus, KNOWLEDGE), Asking(), collections=["faq"])
    await library.refresh()
    follower = Follower(
        bus,
        stream=KNOWLEDGE.stream,
        subject=f"$O.{KNOWLEDGE.name}.M.>",
        hear=library.hear,
        since=DAY,
    )
    following = asyncio.create_task(follower.run())

    async def holds(count):
        await library.refresh()
        return len(library) == count

    await commands.add(options(paths=[folder / "常见问题.csv"]))
    await eventually(lambda: holds(2))
    assert library.version(["faq"]) != "0"
    await commands.remove(options(documents=["faq/常见问题.csv"]))
    await eventually(lambda: holds(0))
    follower.stop()
    await following
