"""From where media are fetched: WeChat, the configured API, and nowhere else."""

import httpx
import pytest
from queqiao_common.events import Media
from queqiao_egress.channels.shared import fetcher
from queqiao_wechat.client import Api, GoneError, UnreachableError

BASE = "http://127.0.0.1:9000"
PICTURE = "https://mmbiz.qpic.cn/mmbiz/1"
JPEG = b"\xff\xd8\xff"


class Net:
    """Hosts and their addresses, and what was asked of them."""

    def __init__(self, **addresses):
        self.addresses = addresses
        self.asked = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        self.api = Api(self.http, api_base=BASE, tokens=self)

    async def get(self):
        return "token"

    async def renew(self, stale):
        return stale

    def answer(self, request):
        self.asked.append(str(request.url).partition("?")[0])
        return httpx.Response(200, content=JPEG)

    async def resolve(self, host):
        if host not in self.addresses:
            raise OSError("unknown host")
        return [self.addresses[host]]

    async def fetch(self, media, *, api=True):
        fetched = fetcher(self.http, self.api if api else None, api_base=BASE, resolve=self.resolve)
        return await fetched(media, 1000)


def net(address="8.8.8.8"):
    return Net(**{"mmbiz.qpic.cn": address})


async def test_a_picture_comes_from_its_address():
    wechat = net()

    assert await wechat.fetch(Media(kind="image", media_id="M1", url=PICTURE)) == JPEG
    assert wechat.asked == [PICTURE]


@pytest.mark.parametrize("url", ["https://evil.example/1", "http://169.254.169.254/latest", ""])
async def test_an_address_that_is_not_wechats_is_never_called(url):
    """It is in a message that anybody who knows the callback token can write."""
    wechat = net()

    assert await wechat.fetch(Media(kind="image", media_id="M1", url=url)) == JPEG
    assert wechat.asked == [f"{BASE}/cgi-bin/media/get"]
    with pytest.raises(GoneError):
        await wechat.fetch(Media(kind="image", url=url), api=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"])
async def test_a_name_of_wechats_that_leads_into_a_private_network_is_refused(address):
    wechat = net(address)

    with pytest.raises(GoneError):
        await wechat.fetch(Media(kind="image", url=PICTURE))
    assert wechat.asked == []


async def test_an_unknown_host_may_be_known_later():
    with pytest.raises(UnreachableError):
        await Net().fetch(Media(kind="image", url=PICTURE))


async def test_the_configured_api_may_stand_anywhere():
    """A simulator, or a proxy of the operator's."""
    wechat = net()

    assert await wechat.fetch(Media(kind="image", url=f"{BASE}/simulated/media/1")) == JPEG
