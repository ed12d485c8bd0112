"""The demo's counting: it finds what is lost, what comes twice, and what ended the run."""

import asyncio
import io
from collections.abc import Iterator

import pytest
from rich.console import Console

import hopmq
from hopmq.cli import demo, load
from hopmq.cli.load import Load
from hopmq.cli.progress import progress_of
from hopmq.cli.summary import Setting, counts, quantile, show_summary

SETTING = Setting(broker="broker", address="there", loop="loop", size=100)


class Changed(Load):
    """A load some of whose deliveries are tampered with."""

    def __init__(self, total: int, *, ignored: int = -1, repeated: int = -1) -> None:
        super().__init__(total, 100)
        self.ignored = ignored
        self.twice = repeated

    def receive(self, message: hopmq.Message) -> None:
        """Overlook one number, or take another one twice."""
        number = int.from_bytes(message.body[: load.NUMBER_SIZE], "big")
        if number == self.ignored:
            message.ack()
        else:
            super().receive(message)
        if number == self.twice:
            with pytest.raises(hopmq.AlreadySettledError):
                super().receive(message)
        if self.ignored >= 0 and len(self.seen) == self.total - 1:
            self._patience = 0.0  # nothing else is to come, however slow the broker is


async def test_a_message_that_never_arrives_is_lost(amqp_url: str) -> None:
    tampered = Changed(50, ignored=7)
    async with hopmq.connect(amqp_url) as connection:
        await tampered.run(connection)
    assert counts(tampered) == "50 published, 50 confirmed, 49 consumed, 1 lost, 0 duplicated"
    assert not tampered.succeeded


async def test_a_message_that_arrives_twice_is_duplicated(amqp_url: str) -> None:
    tampered = Changed(50, repeated=7)
    async with hopmq.connect(amqp_url) as connection:
        await tampered.run(connection)
    assert counts(tampered) == "50 published, 50 confirmed, 50 consumed, 0 lost, 1 duplicated"
    assert not tampered.succeeded


async def test_a_connection_that_ends_early_is_the_problem(amqp_url: str) -> None:
    class Cut(Load):
        is_cut = False

        def receive(self, message: hopmq.Message) -> None:
            super().receive(message)
            if len(self.seen) >= 100 and not self.is_cut:
                self.is_cut = True
                loop.call_soon(cut_off)

    def cut_off() -> None:
        # A publish has to be under way, whose confirm no read has brought: others wait for a link.
        if any(channel.unconfirmed for channel in connection.channels()):
            connection._session.link.abort()
        else:
            loop.call_soon(cut_off)

    loop = asyncio.get_running_loop()
    cut = Cut(100_000, 100)
    async with hopmq.connect(amqp_url) as connection:
        await cut.run(connection)
    assert isinstance(cut.problem, hopmq.PublishError)
    assert 100 <= len(cut.seen) < 100_000
    assert not cut.succeeded


def test_the_status_is_1_when_something_was_lost(
    monkeypatch: pytest.MonkeyPatch, amqp_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "Load", lambda total, _: Changed(total, ignored=3))
    assert demo.run(amqp_url, 10, 100) == 1
    assert "10 published, 10 confirmed, 9 consumed, 1 lost" in capsys.readouterr().out


# --- the summary -------------------------------------------------------------------------------


def finished(total: int) -> Load:
    """Return a load as it stands after a run in which all went well."""
    done = Load(total, 100)
    done.published = total
    done.confirmed = set(range(total))
    done.seen = set(range(total))
    done.confirm_times.extend([0.001] * total)
    done.consume_times.extend([0.002] * total)
    done.publish_seconds = done.consume_seconds = 2.0
    return done


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """Return where a console prints."""
    return io.StringIO()


def shown(done: Load, output: io.StringIO, width: int = 80) -> str:
    """Return the summary as text."""
    show_summary(Console(file=output, width=width, markup=False), done, SETTING)
    return output.getvalue()


@pytest.mark.parametrize("count", ["published", "confirmed", "seen", "repeated"])
def test_success_asks_for_every_count(count: str) -> None:
    changed = finished(10)
    assert changed.succeeded
    match count:
        case "published":
            changed.published = 9
        case "repeated":
            changed.repeated = 1
        case _:
            getattr(changed, count).discard(4)
    assert not changed.succeeded


def test_what_is_left_in_the_queue_counts_unless_it_is_missed() -> None:
    left = finished(10)
    left.seen.discard(4)
    left._count_left_over(1)
    assert (left.lost, left.repeated) == (1, 0)
    left._count_left_over(3)
    assert (left.lost, left.repeated) == (1, 2)


def test_rates_are_messages_by_time(output: io.StringIO) -> None:
    assert "20,000 messages/s   in 2.00 s" in shown(finished(40_000), output)


def test_a_problem_stands_after_the_counts(output: io.StringIO) -> None:
    ended = finished(10)
    ended.problem = hopmq.PublishNotSentError("not sent: the channel is closed")
    *_, counted, problem = shown(ended, output).splitlines()
    assert counted == "10 published, 10 confirmed, 10 consumed, 0 lost, 0 duplicated"
    assert problem == "ended early: not sent: the channel is closed"


def test_the_sentence_stays_on_one_line_however_narrow(output: io.StringIO) -> None:
    assert shown(finished(20_000), output, width=30).splitlines()[-1] == (
        "20,000 published, 20,000 confirmed, 20,000 consumed, 0 lost, 0 duplicated"
    )


def test_a_run_without_any_confirm_has_no_rates(output: io.StringIO) -> None:
    text = shown(Load(10, 100), output)
    assert "latency" not in text
    assert "0 published, 0 confirmed, 0 consumed, 0 lost, 0 duplicated" in text


@pytest.mark.parametrize(
    "share, value", [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_quantiles_are_by_nearest_rank(share: float, value: float) -> None:
    assert quantile([float(number) for number in range(100, 0, -1)], share) == value


async def test_a_terminal_sees_the_progress(output: io.StringIO) -> None:
    console = Console(file=output, width=80, force_terminal=True, color_system=None)
    done = finished(10)
    async with progress_of(done, console):
        pass
    assert "published" in output.getvalue()
    assert "10/10" in output.getvalue()


async def test_what_is_no_terminal_sees_no_progress(output: io.StringIO) -> None:
    async with progress_of(finished(10), Console(file=output)):
        pass
    assert not output.getvalue()
