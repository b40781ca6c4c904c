"""Make or refresh .venv. `_venv.sh` calls it when the stamp of a set is missing or old; standard library only.

    _install.py ROOT SET STAMP        SET: run, test or dev

A stamp is written last. While pip works, a marker says so: a .venv found with one was interrupted and is made anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXTRAS = {"run": "", "test": "[test]", "dev": "[dev]"}
OPTIONAL = {
    "onnx": "ONNX cannot be installed here (see above): tests that read .onnx files are skipped",
    "exporters": "NNCF cannot be installed here (see above): tests that read the networks it writes are skipped",
    "docs": "MkDocs cannot be installed here (see above): the site is not built",
    "oracles": "the oracles cannot be installed here (see above): tests that compare with them are skipped",
    "browser": "the browser cannot be installed here (see above): tests that open the HTML report in it are skipped",
}
"""Extras of the test set that may be missing, and what is then said."""
MARKER = "mcusim-installing"


class InstallError(Exception):
    """The environment cannot be made; the message is one sentence for the user."""


def install(root: Path, wanted_set: str, stamp: str) -> None:
    """Bring ROOT/.venv to `wanted_set`; several processes may ask at once."""
    home = root / ".venv"
    with _locked(root / ".venv.lock"):
        if _read(home / f"mcusim-{wanted_set}.stamp") == stamp and (home / "bin" / "python").exists():
            return  # another process was faster
        _say("setting up .venv (once; takes a minute or two)" if not home.exists() else "refreshing .venv")
        started = time.monotonic()
        _make_venv(home)
        (home / MARKER).touch()
        if not _pip(root, f".{EXTRAS[wanted_set]}"):
            raise InstallError(
                "pip could not install what mcusim needs (its message is above); mend that and run again"
            )
        for extra, lost in OPTIONAL.items() if wanted_set == "test" else ():
            if not _pip(root, f".[{extra}]"):
                _say(lost)
        _compile(root)
        for name in {"run", wanted_set}:
            (home / f"mcusim-{name}.stamp").write_text(f"{stamp}\n")
        (home / MARKER).unlink()
        _say(f".venv is ready after {time.monotonic() - started:.0f} s")


def _make_venv(home: Path) -> None:
    """Make `home` a venv with a working pip, and keep the one that is there if it is whole."""
    ours = (home / MARKER).exists() or any(home.glob("mcusim-*.stamp"))
    interrupted = (home / MARKER).exists()
    if home.exists() and not interrupted and _has_pip(home):
        return
    if home.exists() and not ours and any(home.iterdir()):
        raise InstallError(f"{home} exists, has no working pip and is not mcusim's: move it away")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / MARKER).touch()
    # The real interpreter, not `python3` or a shim: when it goes, the venv is seen to be broken and is made anew.
    base = os.path.realpath(sys.executable)
    made = subprocess.run([base, "-I", "-m", "venv", str(home)], stdout=sys.stderr, close_fds=False, check=False)
    if made.returncode:
        raise InstallError(f"`{base} -m venv` failed (its message is above); is its venv package installed?")


def _has_pip(home: Path) -> bool:
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run([home / "bin" / "python", "-I", "-c", check], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _pip(root: Path, requirement: str) -> bool:
    """Install the project editable with `requirement`'s extras; whether that went well."""
    flags = ["--quiet", "--no-input", "--disable-pip-version-check"]
    python = str(root / ".venv" / "bin" / "python")
    command = [python, "-I", "-m", "pip", "install", *flags, "--editable", requirement]
    environment = os.environ | {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    done = subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr, close_fds=False, check=False)
    return done.returncode == 0


def _compile(root: Path) -> None:
    """Bytecode for an editable install, which pip leaves out: start-up is quick even where Python may not write it."""
    python = str(root / ".venv" / "bin" / "python")
    command = [python, "-I", "-m", "compileall", "-q", str(root / "mcusim")]
    subprocess.run(command, stdout=sys.stderr, check=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold `path` alone; the kernel lets go when this process and the pip it started have ended, however they end."""
    with path.open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another process that is setting up .venv")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> str:
    return path.read_text().rstrip("\n") if path.exists() else ""


def _say(text: str) -> None:
    print(f"mcusim: {text}", file=sys.stderr, flush=True)


def main() -> int:
    root, wanted_set, stamp = sys.argv[1:]
    try:
        install(Path(root), wanted_set, stamp)
    except (InstallError, OSError) as error:
        _say(f"cannot set up .venv: {error}")
        return 2
    except KeyboardInterrupt:
        _say("interrupted; the next run starts afresh")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
