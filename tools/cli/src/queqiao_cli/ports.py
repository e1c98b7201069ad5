"""Which ports are taken, and by whom, before anything is started."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from queqiao_cli.plan import Stage, every

LISTEN = "0A"
PROC = Path("/proc")


def taken(stages: tuple[Stage, ...]) -> list[str]:
    """Name each port of a plan that cannot be had: which, for what, who has it, how to move."""
    return [
        f"port {port}, for {process.name}, is in use{_by(port)}; end that, or move ours: "
        f"--port {setting}=... or QUEQIAO_{setting.upper()}_PORT"
        for process in every(stages)
        for setting, port in process.listens
        if not is_free(port)
    ]


def is_free(port: int) -> bool:
    """Whether a server of ours could listen there, on any address of this machine."""
    with socket.socket() as probe:
        # As servers do: without it, a port that was in use a moment ago would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def _by(port: int) -> str:
    owner = listener(port)
    return f" by process {owner} ({_name(owner)})" if owner else ""


def listener(port: int) -> int | None:
    """Return the process that listens on a port, where the system tells (Linux, one's own)."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    return next((pid for pid, link in _open_files() if link in sockets), None) if sockets else None


def _inodes(port: int) -> Iterator[str]:
    """Read the kernel's table of sockets: column 1 address, 3 state, 9 inode."""
    for table in (PROC / "net/tcp", PROC / "net/tcp6"):
        if table.exists():
            for line in table.read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == LISTEN and int(columns[1].rsplit(":", 1)[1], 16) == port:
                    yield columns[9]


def _open_files() -> Iterator[tuple[int, str]]:
    for folder in PROC.glob("[0-9]*/fd"):
        try:
            yield from (
                (int(folder.parent.name), str(file.readlink())) for file in folder.iterdir()
            )
        except OSError:  # somebody else's process, or one that has just ended
            continue


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text("utf-8").strip()
    except OSError:
        return "ended meanwhile"
