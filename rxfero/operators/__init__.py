"""The operators: what rxfero adds to RxPY's, one verb a module.

Use them in a chain: ``from rxfero import operators as fop``, then
``users.on("change").pipe(fop.of_type("add"), fop.update(other))``. Their arguments are checked when
the chain is built. They write to the shapes in :mod:`rxfero.ports` and know no cache.
"""

from __future__ import annotations

from rxfero.operators.add import add
from rxfero.operators.await_ack import await_ack
from rxfero.operators.await_commit import await_commit
from rxfero.operators.await_replicated import await_replicated
from rxfero.operators.await_reply import await_reply
from rxfero.operators.buffer_bounded import buffer_bounded
from rxfero.operators.by_key import by_key
from rxfero.operators.checkpoint import checkpoint
from rxfero.operators.conflate import conflate
from rxfero.operators.count_by import count_by
from rxfero.operators.fold_by import fold_by
from rxfero.operators.from_async_iter import from_async_iter
from rxfero.operators.in_group import in_group
from rxfero.operators.isolate import Isolated, isolate
from rxfero.operators.join_latest import Joined, join_latest
from rxfero.operators.map_async import map_async
from rxfero.operators.of_type import of_type
from rxfero.operators.only_owned import only_owned
from rxfero.operators.push import push
from rxfero.operators.remove import remove
from rxfero.operators.resume import resume
from rxfero.operators.retry_send import DeadLetter, retry_send
from rxfero.operators.send import send
from rxfero.operators.supervise import supervise
from rxfero.operators.tap_progress import tap_progress
from rxfero.operators.to_async_iter import to_async_iter
from rxfero.operators.under import under
from rxfero.operators.update import update
from rxfero.operators.window_by import Window, window_by

__all__ = [
    "DeadLetter",
    "Isolated",
    "Joined",
    "Window",
    "add",
    "await_ack",
    "await_commit",
    "await_replicated",
    "await_reply",
    "buffer_bounded",
    "by_key",
    "checkpoint",
    "conflate",
    "count_by",
    "fold_by",
    "from_async_iter",
    "in_group",
    "isolate",
    "join_latest",
    "map_async",
    "of_type",
    "only_owned",
    "push",
    "remove",
    "resume",
    "retry_send",
    "send",
    "supervise",
    "tap_progress",
    "to_async_iter",
    "under",
    "update",
    "window_by",
]
