"""kubectl, from the environment's own package."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def kubectl(*arguments, **options) -> str:
    """What kubectl prints; it reaches no cluster."""
    program = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "kubectl is not installed; `make install` brings it"
    with tempfile.TemporaryDirectory() as home:
        away = os.environ | {"KUBECONFIG": os.devnull, "HOME": home}
        words = [program, *map(str, arguments)]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=away, **options).stdout
