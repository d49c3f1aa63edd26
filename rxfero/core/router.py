"""The router: requests on their way to the owner of their key, and answers on their way back.

A client sends to the owner when it has a link to it, else to any server; a server that is not the
owner passes on what it got, at most `requests.hops` times in all, and keeps no state of it: the
answer names the client (`to`), and a repetition by the client finds the owner's exact table. While
nobody serves a shard (a takeover is under way) requests for it are parked, within a bound, and then
refused with RETRY. Messages without a key are handled where they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, cast

from rxfero.core import frame, messages
from rxfero.core import rows as columns
from rxfero.core.call import (
    AUTO,
    CALL_BYTES,
    COMMIT,
    COMPARE,
    FAILED,
    HOLDERS,
    NO_QUORUM,
    NOT_ALLOWED,
    OK,
    QUESTIONS,
    READ,
    RETRY,
    WRITES,
    Call,
    weigh,
)
from rxfero.core.change import Change, Record
from rxfero.core.cluster import COUNTER, Cluster
from rxfero.core.columns import read_numbers, write_numbers
from rxfero.core.messages import Dest
from rxfero.core.owner import Owner
from rxfero.core.parked import Parked, Waiting
from rxfero.core.path import Path
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.requests import Requests
from rxfero.core.ring import shard_of, shards_of
from rxfero.core.rows import Row, Rows, check_replies
from rxfero.core.shard import OWNER, Shard
from rxfero.core.value import check_all, pack, unpack
from rxfero.errors import ProtocolError

NIL = b"\xc0"
_new: Callable[..., Any] = cast("Any", tuple).__new__
ROWS = 2048  # requests in one frame


class Inner(Call):
    """The first half of an `add` without a key: asks the counter's owner for the next id."""

    def __init__(self, parent: Call) -> None:
        super().__init__("add", (), NIL, COMMIT)
        self.parent = parent


class Router:
    """Own requests out, others' requests through, answers back."""

    def __init__(self, cluster: Cluster, owner: Owner, requests: Requests) -> None:
        self._cluster, self._owner, self.requests = cluster, owner, requests
        self._parked = Parked()
        self._turn = 0
        self._handled = cluster.settings.handled
        self._plain = cluster.settings.partition is None and cluster.settings.hash is None
        self.settled: list[Call] = []
        self.acked: list[Call] = []
        self.want_acks = False
        self.want_proxy: Callable[[], bool] = bool  # asked once a frame
        self._proxied = False

    # --- own requests

    def place(self, verb: str, path: tuple[Any, ...], value: bytes) -> int:
        """Give the shard of a path: by its top-level key, or by the user's partition function."""
        cluster = self._cluster
        partition = cluster.settings.partition
        if not path:
            return cluster.shard_of(COUNTER)
        if partition is None:
            return cluster.shard_of(path[0])
        known = cluster.index.get(path[0])
        if known is not None:
            return known
        return cluster.shard_of(str(partition(Change(verb, path, unpack(value)))))

    def submit(self, call: Call, now: float) -> None:
        """Take a request of the program."""
        if call.path is None:
            if call.verb == "add":
                call.deadline = call.deadline or now + self.requests.timeout_s
                inner = Inner(call)
                inner.deadline = call.deadline
                self.requests.submit(inner, self.place("add", (), NIL), now)
            else:
                self.requests.submit(call, -1, now)
            return
        self.requests.submit(call, self.place(call.verb, call.path, call.value), now)

    def submit_all(self, calls: Sequence[Call], now: float) -> None:
        """Take new writes with keys."""
        count, paths = self._cluster.count, [c.path or (COUNTER,) for c in calls]
        if self._plain:
            shards = shards_of([path[0] for path in paths], count)
        else:
            shards = [self.place(c.verb, p, c.value) for c, p in zip(calls, paths, strict=True)]
        self.requests.submit_all(calls, shards, now)

    def flush_calls(self) -> None:
        """Send the program's requests of this turn, as columns, to whom they belong."""
        requests = self.requests
        if requests.batches.waiting:
            self._flush_batches()
        queue = requests.drain(self._cluster.now)
        if not queue:
            return
        held: list[Call] = []
        local: list[Call] = []
        groups: dict[str, list[Call]] = {}
        cluster = self._cluster
        owners, servers, client = cluster.ring.owners, cluster.servers, cluster.client
        for call in queue:
            target = owners[call.shard] if client and call.shard >= 0 else None
            if target is None or target not in servers:
                target = self._target_of(call)
            if target is None:
                held.append(call)
            elif target == cluster.name:
                local.append(call)
            else:
                call.target = target
                groups.setdefault(target, []).append(call)
        if held:
            requests.queue[:0] = held
        for target, calls in groups.items():
            self._send(target, calls, plain=not any(c.seq or c.verb in QUESTIONS for c in calls))
        if local:
            cluster.clock.tick(cluster.wall_ms)
            dest = Dest("", cluster.name, self.requests.sid)
            self._acknowledged(local)
            self._proxied = self.want_proxy()
            rows = Rows.of(requests.sid, local)
            if self._plain and not (self._handled or self._proxied):
                rows = self._owner.write_many(dest, rows)
            for row in rows.gathered():
                self.carry_out(dest, 0, row)

    def _flush_batches(self) -> None:
        """Send batches of messages without keys to the servers in turn, each as one frame."""
        cluster, requests = self._cluster, self.requests
        if cluster.client and not cluster.servers:
            return
        names = list(cluster.servers)
        room = cluster.room
        waiting = requests.batches.waiting
        while waiting:
            if not cluster.client or requests.queue or waiting[0].size > room:
                requests.unbatch()  # to this server itself, in order with others, or in parts
                return
            self._turn += 1
            target = names[self._turn % len(names)]
            batch = requests.next_batch(target, cluster.now)
            if batch is None:
                return
            cluster.say_packed(target, frame.MESSAGE, *batch.body(requests.sid))
            cluster.note("tack", len(batch))

    def _target_of(self, call: Call) -> str | None:
        cluster = self._cluster
        if not cluster.client:
            if call.shard < 0:
                return call.target or cluster.name
            shard = cluster.shards[call.shard]
            if shard.role == OWNER:
                return cluster.name
            name = self.server_of(shard)
            return cluster.name if name is None else name
        servers = cluster.servers
        if not servers:
            return None
        if call.shard >= 0:
            owner = cluster.ring.owners[call.shard]
            if owner is not None and owner in servers:
                return owner
            return next(iter(servers))
        if call.target in servers:
            return call.target
        self._turn += 1
        return list(servers)[self._turn % len(servers)]

    def _send(self, target: str, calls: list[Call], *, plain: bool) -> None:
        cluster = self._cluster
        kind, hops = (frame.REQUEST, 0) if cluster.client else (frame.FORWARD, 1)
        room, rows = cluster.room, cluster.rows
        weight = weigh(calls)
        most = ROWS if plain and all(c.path is None for c in calls) else rows
        if plain and cluster.client and len(calls) <= most and weight <= room:
            cluster.say(target, frame.MESSAGE, messages.write(self.requests.sid, calls))
            cluster.note("tack", len(calls))
            return
        plainly = [c.expect for c in calls].count(None) == len(calls)
        part = calls if plainly and weight <= room and len(calls) <= rows else list[Call]()
        size, sid = 0, self.requests.sid
        for call in () if part else calls:  # nearly always all go in one
            weight = len(call.value) + CALL_BYTES
            if call.expect is not None:
                weight += sum(len(item) for item in call.expect if type(item) is bytes)
            if part and (len(part) >= rows or size + weight > room):
                cluster.say(target, kind, columns.write(cluster.name, hops, sid, part))
                part, size = [], 0
            part.append(call)
            size += weight
        cluster.say(target, kind, columns.write(cluster.name, hops, sid, part))
        cluster.note("tack", len(calls))
        if kind == frame.FORWARD:
            self._acknowledged(calls)

    def _acknowledged(self, calls: list[Call]) -> None:
        for call in calls:
            if not call.acked:
                call.acked = True
                self.acked.append(call)

    # --- others' requests

    def on_request(self, source: str, body: list[Any], *, client: bool) -> None:
        """Take a frame of requests: handle those of this node's keys, pass on the rest."""
        cluster = self._cluster
        got = columns.read(body, cluster.constants.limits.records)
        to = source if client else got.to
        if client:
            got = got._replace(hops=0)
            check_all(got.values)
            cluster.say(source, frame.ACK, [got.sid, got.spec])
        dest = Dest(source, to, got.sid)
        self._proxied = self.want_proxy()
        forwards: dict[str, list[Row]] = {}
        cluster.clock.tick(cluster.wall_ms)
        if self._plain and not (self._handled or self._proxied):
            got = self._owner.write_many(dest, got)
        for row in got.gathered():
            target = self.carry_out(dest, got.hops, row)
            if target is not None:
                forwards.setdefault(target, []).append(row)
        for target, passed in forwards.items():
            cluster.say(target, frame.FORWARD, columns.write(to, got.hops + 1, got.sid, passed))

    def on_messages(self, source: str, body: list[Any]) -> None:
        """Take a client's batch of messages: to the handler as it is, or one by one."""
        cluster = self._cluster
        got = messages.read(body, cluster.constants.limits.records)
        self._proxied = self.want_proxy()
        dest = Dest(source, source, got.sid)
        if (
            self._handled
            and not self._proxied
            and (got.keys is None or self._owns(got.keys))
            and self._owner.take(dest, got.numbers, got.verbs, got.keys, got.values)
        ):
            return  # acknowledged with the answers, or at the end of the turn
        cluster.say(source, frame.ACK, [got.sid, got.spec])
        forwards: dict[str, list[Row]] = {}
        keys = repeat(None) if got.keys is None else got.keys
        for number, verb, key, value in zip(
            got.numbers, got.verbs, keys, got.values, strict=False
        ):
            row = Row(number, verb, key, pack(value), 0, AUTO, None, 0)
            target = self.carry_out(dest, 0, row)
            if target is not None:
                forwards.setdefault(target, []).append(row)
        for target, passed in forwards.items():
            cluster.say(target, frame.FORWARD, columns.write(source, 1, got.sid, passed))

    def _owns(self, keys: list[Any]) -> bool:
        """Whether this node serves the shards of all keys."""
        cluster = self._cluster
        shards, count = cluster.shards, cluster.count
        return self._plain and all(
            key is None or shards[shard_of(key[0], count)].role == OWNER for key in keys
        )

    def carry_out(self, dest: Dest, hops: int, row: Row) -> str | None:
        """Handle a request here, or park it, or give the server to pass it to."""
        cluster, owner = self._cluster, self._owner
        if self._proxied:
            cluster.note("proxy", row)
        path = row.path
        if path is None:
            self._to_handler(dest, row, -1)
            return None
        if self._plain and path:
            number = shard_of(path[0], cluster.count)
        else:
            number = self.place(row.verb, path, row.value)
        shard = cluster.shards[number]
        if shard.role == OWNER:
            if row.verb == READ:
                owner.reads.ask(dest, row.number, path, shard)
            elif row.verb == HOLDERS:
                owner.levels.tell_holders(dest, row.number, row.value, shard)
            elif (self._handled and path) or row.verb not in WRITES or not row.seq:
                self._to_handler(dest, row, number)
            else:
                owner.write(dest, row, shard)
            return None
        target = self.server_of(shard)
        if target is not None and hops <= cluster.constants.requests.hops:
            return target
        limit = cluster.now + cluster.constants.requests.timeout * 0.0008
        if target is not None or not self._parked.put(Waiting(dest, hops, row, limit)):
            owner.answer(dest, row.number, RETRY, ZERO_TERM, 0, None)
        return None

    def server_of(self, shard: Shard) -> str | None:
        """Give the other server that serves a shard, or should.

        None when it should be this one, or when nobody is heard who could pass it on: it waits.
        """
        cluster = self._cluster
        name = cluster.ring.owners[shard.id]
        if name is None or name == cluster.name:
            name = shard.owner
        if name is None or name == cluster.name:
            return None
        return name if name in cluster.servers or cluster.reaches(name) else None

    def _to_handler(self, dest: Dest, row: Row, number: int) -> None:
        if not self._cluster.settings.handled:
            self._owner.answer(dest, row.number, NOT_ALLOWED, ZERO_TERM, 0, pack(row.verb))
            return
        path = row.path if row.path is None or row.path == () else Path(row.path)
        inbound = self._owner.kind(dest, row.number, row.verb, path, row.value)
        inbound.seq, inbound.shard, inbound.level = row.seq, number, row.level
        inbound.expect, inbound.ttl_ms = row.expect, row.ttl_ms
        self._owner.handle(inbound)

    def unpark(self) -> None:
        """Look again at parked requests: somebody may serve their shards now."""
        self._cluster.clock.tick(self._cluster.wall_ms)
        forwards: dict[tuple[Dest, int, str], list[Row]] = {}
        now, short = self._cluster.now, self._cluster.short_of_voters()
        for waiting in self._parked.take():
            dest, hops, row, limit = waiting
            if short:
                if now >= limit or not self._parked.put(waiting):
                    told = self._cluster.no_quorum()
                    self._owner.answer(dest, row.number, NO_QUORUM, ZERO_TERM, 0, told)
                continue
            target = self.carry_out(dest, hops, row)
            if target is not None:
                forwards.setdefault((dest, hops, target), []).append(row)
        for (dest, hops, target), passed in forwards.items():
            body = columns.write(dest.to, hops + 1, dest.sid, passed)
            self._cluster.say(target, frame.FORWARD, body)

    @property
    def parked(self) -> int:
        """Requests that wait for an owner."""
        return len(self._parked)

    # --- answers

    def flush_answers(self) -> None:
        """Send the answers of this turn, one frame a destination and term."""
        cluster = self._cluster
        if self._owner.unknown:
            self._acknowledge_runs()
        while self._owner.answers:
            for dest, body in self._owner.take_answers():
                if dest.route:
                    cluster.say(dest.route, frame.REPLY, body)
                else:
                    self._deliver(body)

    def _acknowledge_runs(self) -> None:
        """Acknowledge the batches of messages that were not answered as a whole at once."""
        for run in self._owner.unknown:
            if not run.known:
                run.known = True
                body = [run.dest.sid, write_numbers(run.numbers)]
                self._cluster.say(run.dest.route, frame.ACK, body)
        self._owner.unknown = []

    def on_reply(self, body: list[Any]) -> None:
        """Take answers: for this node's own requests, or for a node whose requests went through."""
        if len(body) != 7 or type(body[0]) is not str:
            raise ProtocolError("a REPLY that cannot be read")
        if body[0] == self._cluster.name:
            self._deliver(body)
        elif self._passes(body[0]):
            self._cluster.say(body[0], frame.REPLY, body)

    def _passes(self, to: str) -> bool:
        # A client of this node; or a server, whose request took two hops as its shard was moving.
        return to in self._cluster.clients or to in self._cluster.servers

    def on_answers(self, body: list[Any]) -> None:
        """Take the answers to messages of this node."""
        sid, numbers, answers, receipt = messages.read_answers(body)
        if sid == self.requests.sid:
            if receipt:
                self.on_ack(body[:2])
            self.settled += self.requests.answered(numbers, answers, self._cluster.now)

    def _deliver(self, body: list[Any]) -> None:
        _, sid, spec, statuses, fence, offsets, values = body
        if sid != self.requests.sid:
            return
        numbers = read_numbers(spec, self._cluster.constants.outbox.frag)
        check_replies(len(numbers), statuses, offsets, values)
        now = self._cluster.now
        calls = self.requests.reply(numbers, statuses, Term.read(fence), offsets, values, now)
        settled = self.settled
        for call in calls:
            if call.status == OK and type(call) is not Inner:
                settled.append(call)
            else:
                self._settle(call)

    def _settle(self, call: Call) -> None:
        if type(call) is not Inner:
            if call.status == COMPARE and call.verb == "add" and call.expect == ["absent"]:
                self._again(call)
                return
            self.settled.append(call)
            return
        parent = call.parent
        if call.status == OK and call.result is None:
            self._again(parent)  # given out before, and no longer known which: take another
        elif call.status == OK:
            number = _told(call.result)
            if type(number) is not int or number < 1:
                parent.status, parent.done = FAILED, True
                parent.result = pack(["ProtocolError", f"an id that is none: {number!r:.80}"])
                self.settled.append(parent)
                return
            parent.path = Path((number,))
            parent.expect = ["absent"]
            shard = self.place("add", parent.path, parent.value)
            self.requests.submit(parent, shard, self._cluster.now)
        else:
            parent.status, parent.done, parent.result = call.status, True, call.result
            self.settled.append(parent)

    def _again(self, call: Call) -> None:
        """The id was taken after all: ask for the next."""
        call.done, call.path, call.result, call.seq = False, None, None, 0
        self.submit(call, self._cluster.now)

    def go_on(self, readd: list[Record], now: float) -> None:
        """Ask for what a merge wants added anew; tell what became of requests by themselves."""
        for record in readd:
            self.submit(Call("add", None, record.value, COMMIT), now)
        readd.clear()
        requests = self.requests
        self._cluster.notices += [("lost_writes", lost) for lost in requests.lost]
        requests.lost.clear()
        settled, requests.settled = requests.settled, []
        self.expired(settled)

    def expired(self, calls: list[Call]) -> None:
        """Pass on the calls whose time is over."""
        for call in calls:
            self._settle(call)

    def on_ack(self, body: list[Any]) -> None:
        """Note that a server has received requests."""
        try:
            sid, spec = body
        except ValueError as error:
            raise ProtocolError("an ACK that cannot be read") from error
        if sid != self.requests.sid:
            return
        numbers = read_numbers(spec, self._cluster.constants.limits.records)
        self.requests.heard(self._cluster.now)
        self._cluster.note("ack", len(numbers))
        if self.want_acks:
            batch = self.requests.batches.of(numbers)
            if batch is None:
                found = map(self.requests.find, numbers)
                self._acknowledged([call for call in found if call is not None])
            else:
                batch.acked = True
                self._acknowledged(list(batch.calls.values()))

    def __repr__(self) -> str:
        return f"<Router {self._cluster.name} parked={len(self._parked)} {self.requests!r}>"


def _told(value: Any) -> Any:
    try:
        return unpack(value)
    except (TypeError, ProtocolError):
        return None
