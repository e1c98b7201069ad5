"""The arithmetic of the conversion; whether the model then talks is tested live."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy", reason="the extra `convert` is not installed")
pytest.importorskip("onnx", reason="the extra `convert` is not installed")
pytest.importorskip("gguf", reason="the extra `convert` is not installed")

from queqiao_localmodel.conversion import dequantised, interleaved  # noqa: E402 - may be skipped


def test_dequantised_numbers_count_from_the_zero_point():
    values = np.array([[0, 128, 255]], dtype=np.uint8)

    numbers = dequantised(values, np.array(128, dtype=np.uint8), np.array(0.5, dtype=np.float32))

    assert numbers.tolist() == [[-64.0, 0.0, 63.5]]
    assert numbers.dtype == np.float32


def test_rows_that_rotate_together_become_neighbours():
    """In the wrong order the model still speaks, and makes no sense."""
    rows = np.arange(8).reshape(8, 1)

    assert interleaved(rows, heads=2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@given(heads=st.integers(1, 8), half=st.integers(1, 8), width=st.integers(1, 4))
def test_interleaving_moves_rows_only_within_their_head(heads, half, width):
    size = heads * 2 * half
    weights = np.arange(size * width).reshape(size, width)

    moved = interleaved(weights, heads)

    for before, after in zip(np.split(weights, heads), np.split(moved, heads), strict=True):
        assert sorted(before.tolist()) == sorted(after.tolist())
