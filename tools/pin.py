"""Write constraints.txt: the newest versions of everything that the dev extra resolves to, for every platform.

Run by `make constraints`; run the tests before committing what it wrote. uv was put there by `tools/install.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from install import pip_configuration, uv_environment

ROOT = Path(__file__).parents[1]
HEADER = """\
# The versions that the tests ran with; written by `make constraints`. What belongs to one platform's torch (CUDA,
# triton) is left to torch, so that these pins work with any build of it.
"""
LEFT_OUT = re.compile(r"nvidia-|triton|cuda-|.*sys_platform == 'emscripten'$")


def main() -> None:
    """Resolve and write."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--upgrade", "--no-header",
               "--no-annotate", "--python-version", "3.11", "--extra", "dev", str(ROOT / "pyproject.toml")]
    environment = {**uv_environment(pip_configuration(Path(sys.executable))), **os.environ}
    resolved = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    kept = [line for line in resolved.splitlines() if not LEFT_OUT.match(line)]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(kept) + "\n")
    print(f"constraints.txt: {len(kept)} pins")


if __name__ == "__main__":
    main()
