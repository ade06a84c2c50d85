"""The counts of every process on this node, in files that outlive the processes.

`recording.py` writes through a `MetricFiles`, one a process; `scrape.py` reads all of them through
a `NodeCollector`. The file format and the summing are prometheus_client's multiprocess mode; its
metric classes are not used, because they choose their storage when first imported, and Ray may
have imported them before us.

A process owns a *slot*: a number, the files that end in it, and a lock that the kernel releases
when the process ends, however it ends. A new process takes the first free slot and counts on where
the dead one stopped, so there are never more files than processes at once, and no count is lost.
A gauge speaks for its writer alone: that of a slot without an owner is not shown.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import math
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from prometheus_client.metrics_core import Metric as Exposed
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from runtime.logs import log

FILE_BYTES: Final = 1 << 18
"""Room for 1,000 series and more, ten times what a process writes. Source: measured."""
MAX_SERIES: Final = 100_000
"""More entries in one file are taken for corruption: a damaged length can make a loop of them."""

_PREFIXES: Final = {"counter": "counter", "histogram": "histogram", "gauge": "gauge_livemostrecent"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `buckets` are upper bounds, ascending, for histograms; infinity is added."""

    kind: Literal["counter", "histogram", "gauge"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class MetricFiles:
    """The slot of this process. One call at a time; none after `close`."""

    def __init__(self, directory: Path) -> None:
        _make_private(directory)
        self._slot_lock, slot = _claim_slot(directory)
        paths = {kind: directory / f"{prefix}_{slot}.db" for kind, prefix in _PREFIXES.items()}
        paths["gauge"].unlink(missing_ok=True)
        self._files = {kind: _open(path) for kind, path in paths.items()}
        self._keys: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def add(self, metric: Metric, labels: Sequence[str] = (), *, amount: float = 1) -> None:
        """Add to a counter."""
        self._add(metric, self._series(metric, tuple(labels))[0], amount)

    def observe(self, metric: Metric, value: float, labels: Sequence[str] = ()) -> None:
        """Add one observation to a histogram."""
        total, *buckets = self._series(metric, tuple(labels))
        self._add(metric, buckets[bisect_left(metric.buckets, value)], 1)
        self._add(metric, total, value)

    def set(self, metric: Metric, value: float, *, at: float, labels: Sequence[str] = ()) -> None:
        """Set a gauge. Of several writers the latest `at`, in Unix seconds, is shown."""
        key = self._series(metric, tuple(labels))[0]
        self._files[metric.kind].write_value(key, value, at)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Give the slot up: its counts stay, its gauges go."""
        for file in self._files.values():
            file.close()  # type: ignore[no-untyped-call]
        os.close(self._slot_lock)

    def _add(self, metric: Metric, key: str, amount: float) -> None:
        file = self._files[metric.kind]
        value, _ = file.read_value(key)  # type: ignore[no-untyped-call]
        file.write_value(key, value + amount, 0.0)  # type: ignore[no-untyped-call]

    def _series(self, metric: Metric, labels: tuple[str, ...]) -> list[str]:
        """Return the keys of these labels: one, or a histogram's sum and then its buckets.

        All buckets are written at the first observation, for a scrape shows only what is there.
        """
        known = self._keys.get((metric.name, labels))
        if known is not None:
            return known
        if metric.kind == "histogram":
            keys = [_key(metric, "_sum", labels)]
            keys += [_key(metric, "_bucket", labels, le) for le in (*metric.buckets, math.inf)]
        else:
            keys = [_key(metric, "", labels)]
        for key in keys:
            self._files[metric.kind].read_value(key)  # type: ignore[no-untyped-call]
        self._keys[metric.name, labels] = keys
        return keys


class NodeCollector(Collector):
    """Sums what every process of the node wrote. A damaged file is left out, not fatal."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._reported: set[str] = set()

    def collect(self) -> Iterable[Exposed]:
        """Return the metrics of all slots, and the gauges of those with an owner."""
        files = [str(path) for path in self._directory.glob("*.db") if self._counts(path)]
        merged: Iterable[Exposed] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged

    def _counts(self, path: Path) -> bool:
        try:
            if path.stat().st_size == 0:  # its process is about to allocate it
                return False
            if path.name.startswith("gauge_") and not _has_owner(path):
                return False
            readable = _is_readable(path)
        except FileNotFoundError:  # the gauge of a dead process, just replaced
            return False
        if not readable and path.name not in self._reported:
            self._reported.add(path.name)
            log("metrics_file_unreadable", level=logging.WARNING, file=path.name)
        return readable


def _key(metric: Metric, suffix: str, labels: tuple[str, ...], le: float | None = None) -> str:
    names, values = list(metric.labels), list(labels)
    if le is not None:
        names.append("le")
        values.append(floatToGoString(le))  # type: ignore[no-untyped-call]
    family = metric.name.removesuffix("_total")  # the exposition adds a counter's suffix again
    return mmap_key(family, metric.name + suffix, names, values, metric.help)


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError("others may write into the metrics directory")


def _lock_file(directory: Path, slot: str) -> int:
    return os.open(directory / f"slot_{slot}.lock", os.O_RDWR | os.O_CREAT, mode=0o600)


def _claim_slot(directory: Path) -> tuple[int, int]:
    slot = 0
    while True:
        descriptor = _lock_file(directory, str(slot))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            slot += 1
        else:
            return descriptor, slot


def _has_owner(path: Path) -> bool:
    descriptor = _lock_file(path.parent, path.stem.rpartition("_")[2])
    try:
        # Shared, so that two scrapes at once do not take each other for the owner. A process
        # that starts at this very moment finds the slot taken and takes the next.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _open(path: Path) -> MmapedDict:
    if path.exists() and path.stat().st_size > 0 and not _is_readable(path):
        path.replace(path.with_suffix(".damaged"))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, mode=0o600)
    with os.fdopen(descriptor, "r+b") as file:
        # A full disk must be an error now: in a mapped file it would be a SIGBUS, later. Written
        # out, because macOS has no posix_fallocate.
        file.write(bytes(max(0, FILE_BYTES - file.seek(0, os.SEEK_END))))
    return MmapedDict(str(path))  # type: ignore[no-untyped-call]


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            (used_bytes,) = struct.unpack("i", file.read(4))
        if not 0 <= used_bytes <= path.stat().st_size:
            return False
        entries = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
        keys = [key for key, *_ in itertools.islice(entries, MAX_SERIES)]
        for key in keys:
            _, _, labels, _ = json.loads(key)
            sorted(labels.items())
    except (AttributeError, RuntimeError, TypeError, ValueError, struct.error):
        return False
    return len(keys) < MAX_SERIES
