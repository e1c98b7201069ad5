from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queqiao_cli.knowledge.readers import Section, read
from queqiao_cli.knowledge.sniffing import UnfitFileError

from tools.cli.tests.knowledge.files import PDF_HEAD, docx_file, pdf_file


def test_markdown_is_divided_at_its_headings():
    text = "序言\n\n# 退款\n\n## 时限\n\n三天到账。\n\n## 方式\n\n原路退回。\n# 发票\n电子发票。"

    assert read("a.md", text.encode()) == [
        Section("", "序言"),
        Section("退款 > 时限", "三天到账。"),
        Section("退款 > 方式", "原路退回。"),
        Section("发票", "电子发票。"),
    ]


def test_a_hash_inside_code_is_no_heading():
    text = "# 安装\n```sh\n# 这是注释\nmake\n```\n"

    [section] = read("a.md", text.encode())

    assert section == Section("安装", "```sh\n# 这是注释\nmake\n```")


def test_frequent_questions_are_read_by_the_names_of_their_columns():
    text = "编号,问题,分类,答案\n1,多久到账,退款,三天。\n2,没有答案的,x,\n"

    assert read("faq.csv", text.encode("gb18030")) == [Section("多久到账", "三天。", "第 2 行")]


def test_two_columns_without_a_head_are_questions_and_answers():
    assert read("faq.csv", "多久到账,三天。\n怎么开票,在线开。\n".encode()) == [
        Section("多久到账", "三天。", "第 1 行"),
        Section("怎么开票", "在线开。", "第 2 行"),
    ]


def test_another_table_is_read_row_by_row_with_the_names_of_its_columns():
    text = "城市;门店;电话\n上海;南京路店;\n北京;王府井店;010\n"

    assert [one.text for one in read("shops.csv", text.encode())] == [
        "城市：上海；门店：南京路店",
        "城市：北京；门店：王府井店；电话：010",
    ]


def test_a_cell_may_hold_lines_and_commas():
    [section] = read("faq.csv", 'question,answer\n怎么退,"第一步，\n第二步"\n'.encode())

    assert section.text == "第一步，\n第二步"


def test_docx_is_divided_at_its_headings_and_its_tables_are_read():
    data = docx_file(
        ("Heading 1", "退款"), ("Normal", "三天到账。"), ("row", "金额|时限"), ("Heading 1", "发票")
    )

    assert read("a.docx", data) == [Section("退款", "三天到账。\n\n金额 | 时限")]


def test_pdf_is_divided_at_its_pages():
    assert read("a.pdf", pdf_file("Refunds take 3 days", "Invoices")) == [
        Section("", "Refunds take 3 days", "第 1 页"),
        Section("", "Invoices", "第 2 页"),
    ]


def test_a_pdf_of_pictures_is_refused_with_the_reason():
    with pytest.raises(UnfitFileError, match="scanned"):
        read("a.pdf", pdf_file(""))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", PDF_HEAD + b"nothing of a PDF follows"),
        ("a.pdf", pdf_file("x")[:200]),
        ("a.docx", docx_file(("Normal", "x"))[:-200]),
    ],
)
def test_a_broken_file_is_refused(name, data):
    with pytest.raises(UnfitFileError, match=r"broken|none"):
        read(name, data)


@settings(max_examples=50)
@given(cut=st.integers(1, 600), end=st.binary(max_size=20))
def test_no_damage_to_a_pdf_stops_the_command(cut, end):
    data = pdf_file("Refunds take 3 days")
    with suppress(UnfitFileError):
        assert read("a.pdf", data[:cut] + end + data[cut + 7 :])
