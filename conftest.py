"""Shared by every test of the workspace."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Every service runs on asyncio, so the tests do too."""
    return "asyncio"
