"""The objects under a URL, on any storage that fsspec knows: read, written whole, listed, removed.

What fails is tried again a few times; then, or where that is of no use, it is said what to do. fsspec and the packages
behind it raise whatever they like, so everything they raise is taken as the storage's failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from codesign.errors import RunError

PAUSES_S = (0.5, 2.0, 8.0)
"""Seconds before each further attempt."""

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
}
"""Package that knows a protocol, where its name does not say so."""

DENIED = ("AccessDenied", "NoCredentials", "Forbidden", "Unauthorized", "InvalidAccessKey", "SignatureDoesNotMatch")
"""What the errors of storages say that no further attempt will mend."""

PART = ".part"
"""Ends the name of an object that is being written, where objects are files."""

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """All objects whose names begin with a URL and a slash."""

    url: str
    fs: Any
    """An fsspec file system."""
    root: str
    """The URL as the file system knows it."""

    def read(self, name: str) -> bytes | None:
        """Return an object; None if it is not there.

        Raises:
            RunError: it cannot be read.
        """

        def attempt() -> bytes | None:
            try:
                return bytes(self.fs.cat_file(f"{self.root}/{name}"))
            except FileNotFoundError:
                return None

        return self._tried("read", attempt)

    def write(self, name: str, data: bytes, *, attempts: int | None = None) -> None:
        """Write an object, or replace it.

        Raises:
            RunError: it cannot be written; what is there then is the old, nothing, or a part of the new.
        """
        path = f"{self.root}/{name}"

        def attempt() -> None:
            if self._of_files:
                self._put(path + PART, data)
                self.fs.mv(path + PART, path)
            else:
                self._put(path, data)

        self._tried("written", attempt, attempts)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object that is not there; return whether it was so. Not every storage can exclude a race.

        Raises:
            RunError: it cannot be written.
        """
        path = f"{self.root}/{name}"

        def attempt() -> bool:
            try:
                self._put(path, data, mode="create")
            except FileExistsError:
                return False
            return True

        return self._tried("written", attempt)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return names, without the folder's, and bytes of the objects in a folder, as they are now.

        Raises:
            RunError: they cannot be listed.
        """

        def attempt() -> dict[str, int]:
            self.fs.invalidate_cache()
            try:
                found = self.fs.ls(f"{self.root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
            return {str(one["name"]).rpartition("/")[2]: int(one["size"] or 0) for one in found}

        return self._tried("listed", attempt)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there.

        Raises:
            RunError: it cannot be removed.
        """

        def attempt() -> None:
            try:
                self.fs.rm_file(f"{self.root}/{name}")
            except FileNotFoundError:
                return

        self._tried("removed from", attempt)

    def _put(self, path: str, data: bytes, **options: str) -> None:
        """Write an object; only where there are folders is one made."""
        try:
            self.fs.pipe_file(path, data, **options)
        except FileNotFoundError:
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.fs.pipe_file(path, data, **options)

    @property
    def _of_files(self) -> bool:
        """Whether an object that is being written can be seen half written, and a finished one be renamed at once."""
        protocols = self.fs.protocol if isinstance(self.fs.protocol, tuple | list) else (self.fs.protocol,)
        return not {"file", "local", "sftp", "ssh", "hdfs", "smb"}.isdisjoint(protocols)

    def _tried(self, what: str, attempt: Callable[[], T], attempts: int | None = None) -> T:
        pauses = PAUSES_S[: len(PAUSES_S) if attempts is None else attempts - 1]
        for pause in (*pauses, None):
            try:
                return attempt()
            except Exception as error:  # whatever the storage's package raises
                denied = isinstance(error, PermissionError) or any(
                    word in f"{type(error).__name__} {error}" for word in DENIED
                )
                if denied or pause is None:
                    raise RunError(f"{self.url}: cannot be {what}: {_said(error)}; {_fix(denied)}") from error
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def opened(url: str) -> Store:
    """Return the storage that a URL names.

    Raises:
        RunError: nothing knows its protocol, a package is missing, or it names no place.
    """
    import fsspec

    protocol = url.partition("://")[0]
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = PACKAGES.get(protocol, "")
        raise RunError(
            f"{url}: cannot be opened: {error}; {f'pip install {package}' if package else 'install it'}"
        ) from None
    except ValueError as error:
        raise RunError(
            f"{url}: cannot be opened: {error}; expected a path or a URL such as s3://bucket/run, gs://bucket/run, "
            "file:///shared/run"
        ) from None
    except Exception as error:  # whatever the storage's package raises
        raise RunError(f"{url}: cannot be opened: {_said(error)}; {_fix(False)}") from error
    if not root.strip("/"):
        raise RunError(f"{url}: expected the name of a run behind the protocol, such as {protocol}://bucket/run")
    return Store(url, fs, root.rstrip("/"))


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _fix(denied: bool) -> str:
    if denied:
        return "check the credentials, and that they may read, write, list and remove there"
    return "check the address and the connection, then give the command again"
