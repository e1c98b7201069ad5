"""A clock and a calculator over stdio: `python -m queqiao_toolserver`."""

from queqiao_toolserver.server import create

if __name__ == "__main__":
    create().run("stdio")
