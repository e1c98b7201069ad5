import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.media_hosts import is_api_address, is_media_address

WECHAT = "https://api.weixin.qq.com"
SIMULATOR = "http://127.0.0.1:8090"


@pytest.mark.parametrize(
    "url",
    [
        "http://mmbiz.qpic.cn/mmbiz_jpg/abc/0",
        "https://wework.qpic.cn/wwpic/1/0",
        "https://mmbiz.qlogo.cn/a",
        "https://mmbiz.qpic.cn:443/a",
        "HTTPS://MMBIZ.QPIC.CN/a",
        "https://api.weixin.qq.com/cgi-bin/media/get?media_id=1",
        "https://ww-aibot-img-1258476243.cos.ap-guangzhou.myqcloud.com/B/7?sign=q%3Dsha1",
    ],
)
def test_wechats_own_addresses_may_be_fetched(url):
    assert is_media_address(url, api_base=WECHAT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mmbiz.qpic.cn/a",
        "//mmbiz.qpic.cn/a",
        "ftp://mmbiz.qpic.cn/a",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://2130706433/",
        "http://localhost/",
        "http://evil.example/mmbiz.qpic.cn",
        "http://mmbiz.qpic.cn.evil.example/",
        "http://evilqpic.cn/",
        "http://mmbiz.qpic.cn@evil.example/",
        "http://user@mmbiz.qpic.cn/",
        "http://evil.example\\@mmbiz.qpic.cn/",
        "http://evil.example#@mmbiz.qpic.cn/",
        "http://mmbiz.qpic.cn:8080/",
        "http://mmbiz.qpic.cn:x/",
        "http://mmbiz.qpic.cn\n.evil.example/",
        "http://mmbiz.qpic.cn/ a",
        "http://mmbiz。qpic。cn/",
        "https://ww-aibot-img-1.cos.ap-guangzhou.myqcloud.com/a",
        "https://x.myqcloud.com/ww-aibot-img-1258476243.cos.ap-guangzhou.myqcloud.com",
        "https://mmbiz.qpic.cn/" + "a" * 4096,
    ],
)
def test_no_other_address_is_fetched(url):
    """Whoever can forge a push must not be able to look into our network."""
    assert not is_media_address(url, api_base=WECHAT)


def test_the_configured_api_may_serve_media_at_its_own_port_alone():
    assert is_media_address("http://127.0.0.1:8090/p/1.jpg", api_base=SIMULATOR)
    assert not is_media_address("http://127.0.0.1:8091/p/1.jpg", api_base=SIMULATOR)
    assert not is_media_address("https://127.0.0.1:8090/p/1.jpg", api_base=SIMULATOR)
    assert not is_media_address("http://127.0.0.1:8090/p/1.jpg", api_base="")


def test_a_response_address_is_the_apis_and_encrypted():
    path = "/cgi-bin/aibot/response?response_code=1"

    assert is_api_address(f"https://qyapi.weixin.qq.com{path}", api_base=WECHAT)
    assert is_api_address(f"{SIMULATOR}{path}", api_base=SIMULATOR)
    assert not is_api_address(f"http://qyapi.weixin.qq.com{path}", api_base=WECHAT)
    assert not is_api_address(f"https://mmbiz.qpic.cn{path}", api_base=WECHAT)
    assert not is_api_address("https://evil.example/", api_base=WECHAT)


@given(st.text(max_size=80) | st.from_regex(r"https?://[^\s]{0,30}qpic\.cn[^\s]{0,10}"))
def test_an_address_is_judged_and_never_an_error(url):
    assert is_media_address(url, api_base=WECHAT) in {True, False}
    assert is_api_address(url, api_base=url) in {True, False}
