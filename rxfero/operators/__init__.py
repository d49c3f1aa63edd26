"""The operators: what rxfero adds to RxPY's, one verb a module.

``from rxfero import operators as fop``, then ``users.on("change").pipe(fop.of_type("add"), ...)``.
"""

from rxfero.operators.add import add
from rxfero.operators.await_ack import await_ack
from rxfero.operators.await_commit import await_commit
from rxfero.operators.await_replicated import await_replicated
from rxfero.operators.await_reply import await_reply
from rxfero.operators.count_by import count_by
from rxfero.operators.fold_by import fold_by
from rxfero.operators.isolate import Failed, isolate
from rxfero.operators.of_type import of_type
from rxfero.operators.only_owned import only_owned
from rxfero.operators.push import push
from rxfero.operators.remove import remove
from rxfero.operators.send import send
from rxfero.operators.to_async_iter import to_async_iter
from rxfero.operators.under import under
from rxfero.operators.update import update

__all__ = [
    "Failed",
    "add",
    "await_ack",
    "await_commit",
    "await_replicated",
    "await_reply",
    "count_by",
    "fold_by",
    "isolate",
    "of_type",
    "only_owned",
    "push",
    "remove",
    "send",
    "to_async_iter",
    "under",
    "update",
]
