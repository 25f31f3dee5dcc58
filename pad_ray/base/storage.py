"""Folders and files that may be in object storage: one kind of path for both.

A path such as s3://bucket/folder becomes a `upath.UPath`, which has the methods of
`pathlib.Path`; credentials and endpoints are those of s3fs and gcsfs, from the environment. An
object store knows no folders and renames nothing at once: what must be whole is marked so last.
hf://datasets/OWNER/NAME/FILE is read from the Hugging Face Hub, with its own token and cache, and
never written.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pad_ray.base.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow.dataset as pads
    import pyarrow.fs as pafs

__all__ = [
    "arrow_filesystem",
    "is_on_hub",
    "is_remote",
    "key_of",
    "locate",
    "locate_all",
    "move_folder",
    "parquet_dataset",
    "remove_folder",
    "scratch_beside",
    "storage_of",
    "url_of",
]

# pathlib, which reads the settings first, makes one slash of two.
_URL = re.compile(r"(s3|gs|hf):/+(.*)", re.DOTALL)

_HUB = "hf"
_DATA_SETS = "hf://datasets/"


def is_remote(path: Path) -> bool:
    """Tell whether a path is in object storage, located or as a setting gives it."""
    return not isinstance(path, Path) or _URL.match(str(path)) is not None


def is_on_hub(path: Path) -> bool:
    """Tell whether a path is on the Hugging Face Hub, which is read only."""
    return is_remote(path) and url_of(path).startswith(f"{_HUB}:")


def url_of(path: Path) -> str:
    """Return the URL of a path in object storage, located or as a setting gives it."""
    return _URL.sub(r"\1://\2", str(path))


def locate(path: Path) -> Path:
    """Return an absolute path, or one in object storage that can be reached.

    Raises `ConfigError` where the storage refuses, cannot be reached, or lacks its package.
    """
    if not is_remote(path):
        return path.expanduser().resolve()
    # Here and below: what every settings model imports must not wait for these.
    from upath import UPath

    url = url_of(path)
    if set(url) & set("*?["):
        # fsspec would look for what matches.
        raise ConfigError(f"{url}: names in object storage may hold no *, ? or [ here")
    try:
        # Listings that are remembered would hide what other processes write.
        place = UPath(url, use_listings_cache=False)
        there = _is_there(place)
    except ImportError as error:
        kind = url.partition(":")[0]
        package = "huggingface_hub" if kind == _HUB else f"'pad-ray[{kind}]'"
        raise ConfigError(f"{url}: {error}; pip install {package}") from error
    except Exception as error:  # each kind of storage has errors of its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigError(f"{url}: the storage cannot be reached: {reason}") from error
    if not there:
        if is_on_hub(path):
            data_set = "" if url.startswith(_DATA_SETS) else f" (a data set's: {_DATA_SETS}NAME)"
            raise ConfigError(
                f"{url}: there is no such file on the Hub{data_set}, or it may not be read; "
                "a private one needs a token in HF_TOKEN"
            )
        # s3fs would make one where a folder is made.
        raise ConfigError(f"{url}: there is no such bucket, or it may not be listed")
    return place  # type: ignore[return-value]


def _is_there(place: Any) -> bool:
    """Tell whether a file or its bucket is there; raises what the storage says."""
    if place.protocol == _HUB:
        # What is not there and what cannot be reached are one to its `exists`.
        try:
            return bool(place.fs.info(place.path))
        except FileNotFoundError:
            return False
    # Of a bucket alone s3fs says that it is not there, whatever went wrong.
    return bool(place.fs.exists(place.path) or place.fs.exists(place.path.partition("/")[0]))


def locate_all(paths: list[Path] | Path) -> list[Path]:
    """Return what `locate` does for a setting that takes one path or a list of them."""
    return [locate(path) for path in (paths if isinstance(paths, list) else [paths])]


def arrow_filesystem(path: Path) -> pafs.FileSystem | None:
    """Return the file system of a located path for Arrow and Ray Data; None for a local one."""
    if not is_remote(path):
        return None
    import pyarrow.fs as pafs

    return pafs.PyFileSystem(pafs.FSSpecHandler(storage_of(path)))


def storage_of(path: Path) -> Any:
    """Return the fsspec file system of a path in object storage."""
    return path.fs  # type: ignore[attr-defined]


def key_of(path: Path) -> str:
    """Return a located path's name in its own file system."""
    return path.path if is_remote(path) else str(path)  # type: ignore[attr-defined]


def parquet_dataset(folder: Path, files: list[Path] | None = None) -> pads.Dataset:
    """Open a folder's Parquet files, or some of them."""
    import pyarrow as pa
    import pyarrow.dataset as pads

    if files is None:
        files = sorted(folder.glob("*.parquet"))
    if not files:
        return pads.dataset(pa.table({}))
    source = [key_of(file) for file in files]
    return pads.dataset(source, format="parquet", filesystem=arrow_filesystem(folder))


def remove_folder(folder: Path) -> None:
    """Delete a folder with all that is in it; nothing happens where there is none."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        storage_of(folder).rm(key_of(folder), recursive=True)


def move_folder(source: Path, target: Path, last: str) -> None:
    """Move a local folder to a located place; of its files `last` comes last."""
    if not is_remote(target):
        source.rename(target)
        return
    files = [file for file in source.rglob("*") if file.is_file()]
    for file in sorted(files, key=lambda file: file.name == last):
        place = target / str(file.relative_to(source))
        storage_of(place).put_file(str(file), key_of(place))
    shutil.rmtree(source)


@contextmanager
def scratch_beside(folder: Path) -> Iterator[Path]:
    """Yield a new local folder for a while, on the disk of the output `folder` if that is local."""
    home = None if is_remote(folder) else folder.parent
    try:
        if home is not None:
            home.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(prefix=f".{folder.name}-", dir=home)
    except OSError as error:
        raise ConfigError(f"out: cannot write in {home}: {error.strerror}") from error
    with scratch as name:
        yield Path(name)
