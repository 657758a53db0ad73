"""The report of a run: what was lost, what ran twice, and the slowest recovery."""

from __future__ import annotations

from dataclasses import dataclass

from .ledger import Ledger
from .parts import Strike
from .recovery import Recovery


@dataclass(frozen=True)
class Report:
    """The results of a run, which took `seconds`."""

    seed: int
    ledger: Ledger
    strikes: list[Strike]
    crashes: int
    recoveries: list[Recovery]
    interruptions: list[float]
    tracebacks: list[str]
    seconds: float

    def __str__(self) -> str:
        ledger, kills = self.ledger, sum(strike.fault.kills for strike in self.strikes)
        disturbances = sum(strike.fault.kind != "kill" for strike in self.strikes)
        states = ", ".join(f"{ledger.states[state]:,} {state}" for state in ("completed", "failed", "pending"))
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s: {kills} kills, {disturbances} disturbed links, "
            f"{self.crashes} crashes of the receiver by itself",
            f"jobs      {ledger.accepted:,} accepted: {states}",
            f"lost      {ledger.lost}",
            f"doubled   {ledger.doubled} effects, in {ledger.executions:,} executions",
            f"recovery  slowest {max(self.recoveries, default=None)}",
            f"          what a dead server ran started again within {max(self.interruptions, default=0):.2f} s",
        ]
        lines += [f"WRONG     {violation}" for violation in ledger.violations]
        if self.tracebacks:
            lines.append(f"WRONG     {len(self.tracebacks)} tracebacks in the log of the servers")
            lines += self.tracebacks
        return "\n".join(lines)

    @property
    def is_right(self) -> bool:
        """Whether no invariant is broken."""
        return not self.ledger.violations and not self.tracebacks
