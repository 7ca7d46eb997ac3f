"""kubectl, from the environment's own package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def kubectl(*arguments, **options) -> str:
    """What kubectl prints; it reaches no cluster."""
    program = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "kubectl is not installed; `make install` brings it"
    away = {"KUBECONFIG": os.devnull, "HOME": os.devnull}
    return subprocess.run(
        [program, *map(str, arguments)], check=True, capture_output=True, text=True, env=os.environ | away, **options
    ).stdout
