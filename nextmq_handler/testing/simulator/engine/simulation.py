"""Everything that one LocalNextMQ is made of."""

from __future__ import annotations

import threading
import typing as t

from ....workers.worker import schedules_of
from .delivering import LocalApp
from .engine import Engine
from .faults import Faults
from .finishing import Finisher
from .schedulers import Scheduler, Schedulers
from .snapshots import Snapshots
from .store import Store

if t.TYPE_CHECKING:
    from ....workers.worker import Worker
    from .clock import VirtualClock


class Simulation:
    """Queues, their clock and the app that works for them. `lock` is held where any of them is used."""

    def __init__(self, workers: t.Sequence[Worker], clock: VirtualClock, rand: t.Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.app = LocalApp(workers, clock)
        self.store = Store(workers, clock)
        self.snapshots = Snapshots()
        self.faults = Faults()
        self.schedulers = Schedulers(self.store)
        self.replies: dict[str, tuple[bytes, bytes]] = {}
        """The request and the answer that each idempotency key had."""
        finisher = Finisher(self.store, self.snapshots, rand)
        self.engine = Engine(self.store, self.app, finisher, self.faults, self.schedulers)
        for worker in workers:
            for declared in schedules_of(worker):
                self.schedulers.upsert(_declared(worker.name, declared))


def _declared(queue: str, wire: dict[str, t.Any]) -> Scheduler:
    """What an app declares with its registration. `every` has its times since the epoch."""
    names = ("every", "pattern", "tz", "limit", "offset")
    repeat = {name: wire[name] for name in names if name in wire}
    if "every" in repeat:
        repeat["offset"] = repeat.get("offset") or repeat["every"]
    name = wire.get("name") or wire["id"]
    return Scheduler(queue, wire["id"], name, wire.get("data"), wire.get("opts", {}), repeat)
