"""Workers of a Dask cluster that is there. Files are read by the workers: their paths must be the same there."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from mcusim.errors import InputError
from mcusim.sweeping.answering import answers, worker_version
from mcusim.sweeping.work import Batch, Done
from mcusim.version import __version__

__all__ = ["Cluster"]

_TIMEOUT_SECONDS = 10
_OPTION = "--scheduler"


async def _greet(address: str) -> None:
    """Raise TimeoutError where something takes the connection and says nothing: a client waits for it without end."""
    core: Any = import_module("distributed.comm.core")
    comm: Any = await asyncio.wait_for(core.connect(address, timeout=_TIMEOUT_SECONDS), _TIMEOUT_SECONDS)
    await comm.close()


class Cluster:
    """`Workers` of the scheduler at an address. Raises InputError where there is none, or its mcusim is another."""

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError:
            fix = "install it: pip install 'mcusim[sweep]'"
            raise InputError("Dask is not installed", where=_OPTION, fix=fix) from None
        try:
            # A client that cannot read its address leaves a thread behind, which complains at exit.
            addressing: Any = import_module("distributed.comm.addressing")
            addressing.get_address_host_port(addressing.normalize_address(address), strict=True)
            with ThreadPoolExecutor(1) as beside:  # a notebook runs a loop of its own in this thread
                beside.submit(asyncio.run, _greet(address)).result()
            self._client: Any = distributed.Client(address, timeout=_TIMEOUT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            why = " ".join(str(error).split())[:80] or f"nothing in {_TIMEOUT_SECONDS} s"
            what = f"'{address}' does not answer ({why})"
            fix = "start one with `dask scheduler`, and name its address, as in tcp://127.0.0.1:8786"
            raise InputError(what, where=_OPTION, fix=fix) from None
        self._check_versions(address)
        self._completed: Any = distributed.as_completed(loop=self._client.loop)
        self._batches: dict[str, Batch] = {}

    def _check_versions(self, address: str) -> None:
        versions: dict[str, Any] = self._client.run(worker_version, on_error="return")
        wrong = {worker: version for worker, version in versions.items() if version != __version__}
        if not versions or wrong:
            self._client.close()
        if not versions:
            fix = f"start some: dask worker {address}"
            raise InputError("the cluster has no worker", where=_OPTION, fix=fix)
        if wrong:
            worker, version = next(iter(wrong.items()))
            has = f"has mcusim {version}" if isinstance(version, str) else "cannot load mcusim"
            fix = f"install mcusim {__version__} for every worker"
            raise InputError(f"worker {worker} {has}, and {__version__} asks", where=_OPTION, fix=fix)

    @property
    def count(self) -> int:
        """Threads of all workers."""
        return max(sum(map(int, self._client.nthreads().values())), 1)

    @property
    def dashboard(self) -> str:
        """Where the cluster shows its work."""
        return str(self._client.dashboard_link)

    def submit(self, batch: Batch) -> None:
        """Hand it to the scheduler. A worker that dies over it is reported, not retried by Dask."""
        future = self._client.submit(answers, batch.questions, pure=False, retries=0)
        self._batches[future.key] = batch
        self._completed.add(future)

    def done(self) -> Done:
        """The next batch that is done. Dask has tried a worker's death three times by then."""
        from distributed.scheduler import KilledWorker

        future = next(self._completed)
        batch = self._batches.pop(future.key)
        try:
            return Done(batch, future.result())
        except KilledWorker as error:
            return Done(batch, None, f"the cluster gave up on it ({type(error).__name__})")

    def close(self) -> None:
        """Leave the cluster; it stays."""
        self._client.close()
