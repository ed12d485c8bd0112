"""The threads of plain handlers: no more than there may be, and used again."""

import asyncio
import threading

from hopmq.app.running.threads import HandlerThreads


async def test_no_more_functions_run_at_once_than_there_may_be() -> None:
    threads = HandlerThreads(2, "test")
    may_end, at_work = threading.Event(), threading.Semaphore(0)

    def work() -> str:
        at_work.release()
        assert may_end.wait(20)
        return threading.current_thread().name

    loop = asyncio.get_running_loop()
    running = [loop.run_in_executor(threads, work) for _ in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(at_work.acquire, timeout=20)
    assert not at_work.acquire(blocking=False)
    may_end.set()
    assert len(set(await asyncio.gather(*running))) == 2
    threads.shutdown()


async def test_a_thread_that_is_idle_is_used_again() -> None:
    threads = HandlerThreads(4, "test")
    loop = asyncio.get_running_loop()
    idents = set()
    for _ in range(20):
        idents.add(await loop.run_in_executor(threads, threading.get_ident))
        # It is idle a moment after its result is there, which nothing tells.
        assert await asyncio.to_thread(threads._idle.acquire, timeout=20)
        threads._idle.release()
    assert len(idents) == 1
    threads.shutdown()


async def test_what_has_not_begun_is_cancelled_at_the_end() -> None:
    threads = HandlerThreads(1, "test")
    may_end, at_work = threading.Event(), threading.Event()

    def work() -> None:
        at_work.set()
        assert may_end.wait(20)

    first, second = threads.submit(work), threads.submit(work)
    assert await asyncio.to_thread(at_work.wait, 20)
    threads.shutdown(wait=False, cancel_futures=True)
    assert second.cancelled()
    may_end.set()
    threads.shutdown()
    assert first.done()
