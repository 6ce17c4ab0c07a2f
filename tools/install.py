"""Make a virtual environment and install Headstart into it, fast: `python tools/install.py .venv --extra dev`.

uv resolves and installs the full set in under a minute, where pip takes several; it is put into the environment by
pip. Where uv can't be had, or fails, pip does the work itself. Only the standard library is needed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
UV_NAMES = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS",
            "trusted-host": "UV_INSECURE_HOST", "cert": "SSL_CERT_FILE"}
"""uv does not read pip's configuration; these are its words for what decides where packages come from."""


def main() -> int:
    """Install, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the virtual environment")
    parser.add_argument("--extra", default="", help="optional dependencies, such as dev")
    arguments = parser.parse_args()
    python = arguments.folder / "bin" / "python"
    if not python.exists():
        print(f"making {arguments.folder} with Python {sys.version.split()[0]}", flush=True)
        venv.create(arguments.folder, with_pip=True)
    what = ["--editable", f"{ROOT}[{arguments.extra}]" if arguments.extra else str(ROOT),
            "--constraint", str(CONSTRAINTS)]
    pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    if subprocess.run([*pip, "--quiet", "--constraint", str(CONSTRAINTS), "uv"]).returncode == 0:
        environment = {**uv_environment(pip_configuration(python)), **os.environ}
        # Compiled once here, as pip does; else every start compiles anew where Python may not write bytecode.
        uv = [str(python), "-m", "uv", "pip", "install", "--compile-bytecode", "--python", str(python)]
        if subprocess.run([*uv, *what], env=environment).returncode == 0:
            return 0
    print("uv did not do it; installing with pip, which takes some minutes", flush=True)
    return subprocess.run([*pip, *what]).returncode


def pip_configuration(python: Path) -> str:
    """Return what pip is configured to do, a setting a line."""
    return subprocess.run([str(python), "-m", "pip", "config", "list"], capture_output=True, text=True).stdout


def uv_environment(configuration: str) -> dict[str, str]:
    """Return the environment that makes uv use the indexes that pip is configured for.

    configuration: what `pip config list` prints, such as `global.index-url='...'`, the strongest line last.
    """
    found = {"UV_HTTP_TIMEOUT": "300"}  # torch is one large file
    # pip reads its environment last, yet lists it first.
    for line in sorted(configuration.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in UV_NAMES:
            separator = "," if name == "find-links" else " "
            found[UV_NAMES[name]] = separator.join(re.split(r"(?:\s|\\n)+", value.strip("'\"").strip()))
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip: the newest version, whichever index has it
    return found


if __name__ == "__main__":
    sys.exit(main())
