"""An answer that does not fit has a page, and what leaves of it leads there."""

import re

import httpx
from queqiao_common.testing import eventually


async def test_a_long_answer_ends_with_the_address_of_all_of_it(talking):
    await talking.say("active", "w1", "长w1[bytes=20000]")

    async def link():
        text = "\n".join(await talking.replies("active", "w1"))
        return re.search(r"https://bot\.example(/a/\S+)", text)

    path = (await eventually(link, within=60))[1]
    async with httpx.AsyncClient() as http:
        port = talking.ports.services["ingress"][0]
        page = await http.get(f"http://127.0.0.1:{port}{path}")

    assert page.status_code == 200
    assert page.text.count("喜鹊为桥") > 400
