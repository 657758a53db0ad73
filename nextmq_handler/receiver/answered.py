"""Jobs whose calls are answered in this process: no server hears of them."""

from __future__ import annotations

import typing as t

from ..job import AsyncJob, Job, JobBase

if t.TYPE_CHECKING:
    from ..client._http.answer import R
    from ..client._http.call import Options

T = t.TypeVar("T")


class Answering(JobBase[T]):
    """A job that answers its processor's calls itself."""

    def _answer(self, method: str, path: tuple[str, ...], options: Options) -> t.Any:
        """Return what the server would answer. Raises StaleDeliveryError once the delivery is answered."""
        raise NotImplementedError


class AnsweredJob(Answering[T], Job[T]):
    """The job of a `def` processor."""

    def _ask(self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]) -> R:
        return reader(self._answer(method, path, options))

    def _ask_all(self, *path: str, reader: t.Callable[[t.Any], R]) -> list[R]:
        return [reader(self._answer("GET", path, {}))]


class AnsweredAsyncJob(Answering[T], AsyncJob[T]):
    """The job of an `async def` processor."""

    async def _ask(
        self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]
    ) -> R:
        return reader(self._answer(method, path, options))

    async def _ask_all(self, *path: str, reader: t.Callable[[t.Any], R]) -> list[R]:
        return [reader(self._answer("GET", path, {}))]
