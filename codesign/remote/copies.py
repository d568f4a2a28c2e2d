"""Addresses of runs: a directory, or a URL whose run has a working copy on this machine.

A search works in the working copy, which is an ordinary run directory and knows its URL; whoever writes to it (see
`record.writing`) keeps the storage equal. Readers bring it up to date and read it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from codesign import journal
from codesign.errors import RunError
from codesign.journal import LOG, MANIFEST
from codesign.remote.incoming import Incoming
from codesign.remote.lease import leased
from codesign.remote.outgoing import Outgoing
from codesign.remote.store import opened

ORIGIN = "remote.json"
"""In a working copy: what it is a copy of."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::[A-Za-z][A-Za-z0-9+.-]*)*://")


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of that file."""

    url: str
    copy: str
    """Random: tells this working copy from those of other machines."""


def is_url(address: str | Path) -> bool:
    """Whether an address is a URL, and not a directory.

    Raises:
        RunError: it is a URL that lacks a slash, as one does that was made a path.
    """
    text = str(address)
    if re.match(r"[a-z][a-z0-9+.-]+:/[^/]", text):
        raise RunError(
            f"{text}: expected a directory, or a URL as text with two slashes behind the colon, got one slash"
        )
    return bool(URL.match(text))


def _url(address: str | Path) -> str:
    """Return an address without slashes at its end, unless nothing else is behind the protocol."""
    text = str(address)
    return text if text.endswith("://") else text.rstrip("/")


def directory_of(address: str | Path) -> Path:
    """Return the directory of a run that may be new; that of its working copy, if the address is a URL.

    Raises:
        RunError: the URL cannot be used, or the working copy not be made.
    """
    if not is_url(address):
        return Path(address)
    url = _url(address)
    directory = _place(url)
    if not (directory / ORIGIN).exists():
        opened(url)  # what cannot be used leaves nothing
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{directory}: cannot be made for the working copy of {url}: {error.strerror}") from error
        text = msgspec.json.encode(Origin(url, secrets.token_hex(8)))
        journal.replace(directory / ORIGIN, text, "give the command again")
    return directory


def fetching(address: str | Path) -> Callable[[], Path]:
    """Return what brings the working copy of a run up to date and returns its directory; a directory as it is.

    Raises:
        RunError: the URL cannot be used; when called: no run there, or it cannot be reached.
    """
    if not is_url(address):
        return lambda: Path(address)
    url = _url(address)
    store, directory = opened(url), _place(url)
    incoming = Incoming(directory, store)

    def fetch() -> Path:
        if store.read(MANIFEST) is None:
            raise _no_run(url, directory)
        directory_of(url)
        incoming.pull()
        return directory

    return fetch


def check_stored(directory: Path) -> None:
    """Refuse a working copy of a run that its storage does not hold any more, or not yet; it may be the only copy.

    Raises:
        RunError: says where the copy is and what can be done with it, or the storage cannot be reached.
    """
    origin = _origin(directory)
    if origin is not None and opened(origin.url).read(MANIFEST) is None:
        raise _no_run(origin.url, directory)


def _no_run(url: str, directory: Path) -> RunError:
    """Return the error for a URL where no run is."""
    absent = f"{url}: no run here (no {MANIFEST})"
    if not (directory / MANIFEST).exists():
        return RunError(f"{absent}; make one with: codesign search SPACE COST --run {url}")
    return RunError(
        f"{absent}, but this machine has a working copy of one, {directory}: copy it there again with: codesign resume "
        f"{directory}; or move it away and remove its {ORIGIN} to keep it as a run of its own; or, if nobody needs it, "
        "remove it"
    )


def fetched(address: str | Path) -> Path:
    """Return the directory of a run that is there; that of its working copy, brought up to date, if it is at a URL.

    Raises:
        RunError: the URL cannot be used or reached, or there is no run.
    """
    return fetching(address)()


def shown(directory: Path) -> str:
    """Return the address by which the user knows a run."""
    origin = _origin(directory)
    return str(directory) if origin is None else origin.url


@contextmanager
def mirrored(directory: Path) -> Iterator[None]:
    """Keep the storage of a working copy equal to it, as its only writer; nothing for other directories.

    Raises:
        RunError: another process writes to the run, the storage cannot be reached, or the two differ.
    """
    origin = _origin(directory)
    if origin is None:
        yield
        return
    store = opened(origin.url)
    with leased(store, origin.copy) as lease:
        outgoing = Outgoing(directory, store, lease.check)
        outgoing.begin()
        try:
            with journal.followed(directory, outgoing.push):
                yield
        finally:
            if (directory / LOG).exists():
                outgoing.push_log()


def _origin(directory: Path) -> Origin | None:
    """Return what a directory is a working copy of; None if it is none.

    Raises:
        RunError: the file that says so is damaged.
    """
    path = directory / ORIGIN
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            return msgspec.json.decode(path.read_bytes(), type=Origin)
        except (msgspec.DecodeError, OSError) as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise
            raise RunError(
                f"{path}: cannot be read: {error}; remove it to keep the directory as a run of its own"
            ) from None
    return None


def _place(url: str) -> Path:
    """Return where the working copy of a URL is, by the XDG rule; where there is no home, among temporary files."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        cache = Path(base)
    else:
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:
            cache = Path(tempfile.gettempdir())
    return (
        cache.absolute() / "codesign" / "runs" / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2]
    )
