from services.ingress.tests import matrix


def test_the_documented_table_is_what_the_doors_do():
    """`python -m services.ingress.tests.matrix` writes it anew."""
    page = matrix.PAGE.read_text(encoding="utf-8")

    assert page == matrix.written(page)
