from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common import settings
from queqiao_common.errors import SettingsError
from queqiao_common.pages import address, new_page_id, validity

KEY = "a key of pages"
NOW_MS = 1_767_225_600_000
DAY_MS = 86_400_000
anything = st.text(st.characters(), max_size=60)


def parts(url: str) -> tuple[str, str, str]:
    split = urlsplit(url)
    query = parse_qs(split.query)
    return split.path.removeprefix("/a/"), query["e"][0], query["s"][0]


def test_an_id_is_new_and_legal_in_keys_and_paths():
    ids = {new_page_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(len(one) == 26 and one.isalnum() and one == one.lower() for one in ids)


def test_an_address_is_valid_until_its_last_second_has_passed():
    url = address("https://bot.example/", KEY, new_page_id(), NOW_MS + DAY_MS)

    assert url.startswith("https://bot.example/a/")
    assert validity(KEY, *parts(url), now_ms=NOW_MS) == "valid"
    assert validity(KEY, *parts(url), now_ms=NOW_MS + DAY_MS + 999) == "valid"
    assert validity(KEY, *parts(url), now_ms=NOW_MS + DAY_MS + 1000) == "expired"


def test_an_address_is_short_enough_for_a_message():
    assert len(address("https://bot.example", KEY, new_page_id(), NOW_MS)) < 120


def test_an_address_cannot_be_prolonged_moved_or_signed_by_another_key():
    page_id, until, signature = parts(address("", KEY, new_page_id(), NOW_MS))

    for forged in (
        (KEY, page_id, str(int(until) + 1), signature),
        (KEY, page_id, f"0{until}", signature),
        (KEY, new_page_id(), until, signature),
        (KEY, page_id, until, signature[:-1]),
        (KEY, page_id, until, ""),
        ("another key", page_id, until, signature),
    ):
        assert validity(*forged, now_ms=NOW_MS) == "forged"


@given(page_id=anything, until=anything, signature=anything)
def test_garbage_is_forged_and_never_an_error(page_id, until, signature):
    assert validity(KEY, page_id, until, signature, now_ms=NOW_MS) == "forged"


def problems(**pages: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        settings.parse({"pages": pages}, {}, needs=settings.SERVICE_SECRETS["ingress"])
    return error.value.problems


def test_pages_without_a_key_are_refused_before_anybody_gets_an_address():
    assert problems(base_url="https://bot.example") == ("pages.key: required by pages.base_url",)


def test_a_key_that_is_not_to_be_had_is_named():
    named = problems(base_url="https://bot.example", key="${PAGES_KEY}")

    assert named == ("pages.key: environment variable PAGES_KEY is not set",)


@pytest.mark.parametrize("address", ["bot.example", "ftp://bot.example", "https://", "//x"])
def test_an_address_that_no_browser_opens_is_refused(address):
    wrong = problems(base_url=address, key="k", assets={"base_url": address})

    assert [problem.partition(":")[0] for problem in wrong] == [
        "pages.base_url",
        "pages.assets.base_url",
    ]
