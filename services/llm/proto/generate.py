#!/usr/bin/env python3
"""Write the message classes anew: `python services/llm/proto/generate.py`; needs grpcio-tools."""

import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
GENERATED = HERE.parent / "src" / "queqiao_llm" / "_generated"


def main() -> int:
    """Compile the one file, and its types for mypy; return protoc's exit status."""
    outputs = [f"--python_out={GENERATED}", f"--pyi_out={GENERATED}"]
    status = protoc.main(["protoc", f"--proto_path={HERE}", *outputs, "open_inference.proto"])
    for types in GENERATED.glob("*.pyi"):
        types.write_text(f"# mypy: ignore-errors\n{types.read_text('utf-8')}", "utf-8")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
