"""Judge a project's alert rules every 10 s, in one of its server processes, and tell who has to know."""

from __future__ import annotations

import asyncio
import logging
import secrets
import typing as t

from ..dispatch.http.client import DeliveryClient
from ..engine.scripts.scripts import ScriptRunner
from ..minutes.minutes import Minutes
from ..redis.connection import ConnectionLost, RedisError
from ..redis.storage import StorageWatch
from ..tasks import end_tasks
from ..timers import now_ms
from .channels import send
from .facts import QueueFacts, QueueWatch
from .judge import MAX_FIRINGS, Counted, Firing, judge, readings
from .mail import MailRelay
from .messages import MAX_QUEUES, AlertMessage, Event, QueuedMessage
from .rules import IN_MINUTES, AlertRule, Channel
from .store import AlertStore

logger = logging.getLogger("nextmq_server.alerts")

JUDGE_INTERVAL = 10.0
"""How often, in s, the rules are judged."""

RETRY_DELAYS = (15_000, 45_000, 180_000, 360_000)
"""After how many ms a message is sent again: five tries in 10 minutes."""

_READS_AT_ONCE = 50


class Alerts:
    """The alerts of one project. Raises ConfigurationError for an unusable NEXTMQ_SMTP_URL.

    `process` is the id of this server process.
    """

    def __init__(
        self,
        scripts: ScriptRunner,
        queues: QueueWatch,
        minutes: Minutes,
        storage: StorageWatch,
        process: str,
        project: str,
    ) -> None:
        self.store = AlertStore(scripts, process)
        self.relay = MailRelay.from_environment()
        self._queues = queues
        self._minutes = minutes
        self._storage = storage
        self._project = project
        self._client: DeliveryClient | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._due = asyncio.Event()
        self._judging = asyncio.Lock()

    async def start(self, client: DeliveryClient) -> None:
        """Judge and send from now on. Raises RedisError or ConnectionLost."""
        self._client = client
        await self.store.seed()
        self._tasks = [asyncio.create_task(self._judge_again()), asyncio.create_task(self._send_again())]

    async def stop(self) -> None:
        """Stop. What was not sent another process sends, or the next one."""
        await end_tasks(*self._tasks)

    async def judge(self) -> None:
        """Judge all rules once, if this is the process that does. Raises RedisError or ConnectionLost."""
        async with self._judging:
            if await self.store.lead():
                await self._judge()

    async def send_due(self) -> bool:
        """Send the messages that are due; return whether there were any. Raises RedisError or ConnectionLost."""
        claimed = await self.store.claim()
        await asyncio.gather(*(self._send(text, message) for text, message in claimed))
        return bool(claimed)

    async def test(self, name: str, rule: AlertRule) -> list[tuple[Channel, str | None]]:
        """Send a test message to each channel of a rule, once; return why each failed, or None."""
        message = self._message("test", name, rule, [], ["This is a test: nothing is wrong."], now_ms())
        problems = await asyncio.gather(*(self._send_once(message, channel) for channel in rule.channels))
        return list(zip(rule.channels, problems, strict=True))

    async def _judge(self) -> None:
        rules = {name: rule for name, rule in (await self.store.rules()).items() if rule.is_enabled}
        before = await self.store.states()
        now, facts = await self._queues.look()
        for one in facts:
            if one.oldest_waiting is not None:
                self._minutes.note_oldest(one.queue, one.oldest_waiting)
        states, over, messages = dict[str, Firing](), set[str](), list[QueuedMessage]()
        for name, rule in rules.items():
            found = readings(rule, facts, await self._counted(rule, facts), round(self._storage.share * 100))
            held = before.get(name, {})
            verdicts = judge(rule, found, held, now=now)
            states |= {f"{name}:{queue}": state for queue, state in verdicts.states.items()}
            texts = {queue: state.text for queue, state in (held | verdicts.states).items()}
            messages += self._messages("firing", name, rule, verdicts.firing, texts, now)
            messages += self._messages("resolved", name, rule, verdicts.over, texts, now)
            await asyncio.sleep(0)  # many queues take some ms
        if len(states) > MAX_FIRINGS:
            logger.error("more than %d alerts at once: those beyond are not followed", MAX_FIRINGS)
            states = dict(list(states.items())[:MAX_FIRINGS])
        over = {f"{name}:{queue}" for name, held in before.items() for queue in held} - states.keys()
        lost = await self.store.commit(states, over, messages)
        if lost:
            logger.error("%d messages of alerts are lost: too many wait to be sent", lost)
        if messages:
            self._due.set()

    async def _counted(self, rule: AlertRule, facts: t.Sequence[QueueFacts]) -> dict[str, Counted]:
        if rule.when not in IN_MINUTES:
            return {}
        queues = [one.queue for one in facts if rule.covers(one.queue)]
        counted: dict[str, Counted] = {}
        for first in range(0, len(queues), _READS_AT_ONCE):
            some = queues[first : first + _READS_AT_ONCE]
            numbers = await asyncio.gather(*(self._minutes.last(queue, rule.minutes) for queue in some))
            counted |= {queue: Counted(*both) for queue, both in zip(some, numbers, strict=True)}
        return counted

    def _messages(
        self, event: Event, name: str, rule: AlertRule, queues: list[str], texts: dict[str, str], now: int
    ) -> list[QueuedMessage]:
        if not queues:
            return []
        message = self._message(event, name, rule, queues, [texts[queue] for queue in queues], now)
        return [QueuedMessage(message=message, channel=channel) for channel in rule.channels]

    def _message(
        self, event: Event, name: str, rule: AlertRule, queues: list[str], texts: list[str], now: int
    ) -> AlertMessage:
        return AlertMessage(
            id=f"msg_{secrets.token_hex(16)}",
            at=now,
            event=event,
            project=self._project,
            rule=name,
            when=rule.when,
            queues=[queue for queue in queues[:MAX_QUEUES] if queue],
            count=len(queues),
            texts=texts[:MAX_QUEUES],
        )

    async def _send(self, text: str, queued: QueuedMessage) -> None:
        problem = await self._send_once(queued.message, queued.channel)
        if problem is None:
            await self.store.sent(text)
            return
        if queued.tries >= len(RETRY_DELAYS):
            logger.error("alert %s: gave up after 5 tries: %s", queued.message.rule, problem)
            await self.store.sent(text)
            return
        logger.warning("alert %s: cannot be sent, trying again: %s", queued.message.rule, problem)
        later = queued.model_copy(update={"tries": queued.tries + 1})
        await self.store.send_later(text, later, RETRY_DELAYS[queued.tries])

    async def _send_once(self, message: AlertMessage, channel: Channel) -> str | None:
        assert self._client is not None, "start() was not called"
        try:
            return await send(message, channel, self._client, self.relay)
        except Exception:
            logger.exception("alert %s: cannot be sent", message.rule)
            return "the server failed; its log has the reason"

    async def _judge_again(self) -> None:
        while True:
            try:
                await self.judge()
            except (RedisError, ConnectionLost) as exc:
                logger.warning("cannot judge the alerts: %s", exc)
            except Exception:
                logger.exception("cannot judge the alerts")
            await asyncio.sleep(JUDGE_INTERVAL)

    async def _send_again(self) -> None:
        while True:
            self._due.clear()
            try:
                if await self.send_due():
                    continue
            except (RedisError, ConnectionLost) as exc:
                logger.warning("cannot send the messages of alerts: %s", exc)
            except Exception:
                logger.exception("cannot send the messages of alerts")
            await _set_within(self._due, JUDGE_INTERVAL)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
