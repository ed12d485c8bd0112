"""Whatever is done to queues, their counts agree with each other, and memory comes back."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.channels import RELEASES, Host, TestChannel
from hopmq.broker.message import OVERHEAD
from hopmq.broker.policies import Policy
from trials import trials

NAMES = ("a", "b", "c")
KINDS = st.sampled_from(["classic", "quorum", "stream"])


def limits(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments of queues, by which messages go in every way there is."""
    if kind == "stream":
        return st.fixed_dictionaries(
            {},
            optional={
                "max_length_bytes": st.just(2000),
                "max_age": st.just("3s"),
                "stream_max_segment_size_bytes": st.just(900),
            },
        )
    optional: dict[str, st.SearchStrategy[Any]] = {
        "message_ttl": st.sampled_from([0, 1000, 5000]),
        "max_length": st.integers(0, 3),
        "max_length_bytes": st.integers(0, 30),
        "overflow": st.sampled_from(["drop-head", "reject-publish", "reject-publish-dlx"]),
        "dead_letter_exchange": st.just(""),
        "dead_letter_routing_key": st.sampled_from(NAMES),
        "expires": st.just(20_000),
        "single_active_consumer": st.booleans(),
    }
    if kind == "classic":
        optional["max_priority"] = st.just(3)
    else:
        optional |= {
            "delivery_limit": st.integers(0, 2),
            "delayed_retry_type": st.sampled_from(["all", "failed", "returned"]),
            "delayed_retry_min": st.just(500),
            "delayed_retry_max": st.just(900),
            "dead_letter_strategy": st.just("at-least-once"),
        }
    # A key without an exchange is refused.
    return st.fixed_dictionaries({}, optional=optional).filter(
        lambda each: "dead_letter_routing_key" not in each or "dead_letter_exchange" in each
    )


class Accounting(RuleBasedStateMachine):
    """Queues of every kind under everything that can happen to them."""

    release = RELEASES[0]

    def __init__(self) -> None:
        super().__init__()
        self.host = Host(self.release)
        self.channels = [self.host.channel(consumer_timeout=30.0) for _ in range(2)]

    @initialize(data=st.data())
    def declare_some(self, data: st.DataObject) -> None:
        for name in NAMES[:2]:
            self._declare(data, name)

    def _declare(self, data: st.DataObject, name: str) -> None:
        kind = data.draw(KINDS)
        self.channels[0].declare(name, kind, **data.draw(limits(kind)))

    @rule(data=st.data())
    def declare(self, data: st.DataObject) -> None:
        missing = [name for name in NAMES if name not in self.host.vhost.queues]
        if missing:
            self._declare(data, missing[0])

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        queue = self.host.vhost.queues.get(name)
        if queue is not None:
            self.host.vhost.delete_queue(queue)

    @rule(name=st.sampled_from(NAMES))
    def purge(self, name: str) -> None:
        queue = self.host.vhost.queues.get(name)
        if queue is not None and queue.kind != "stream":
            queue.purge()

    @rule(
        name=st.sampled_from(NAMES),
        size=st.integers(0, 20),
        expiration=st.sampled_from([None, None, "0", "1000"]),
        priority=st.sampled_from([None, 2, 9]),
        count=st.integers(1, 4),
    )
    def publish(
        self, name: str, size: int, expiration: str | None, priority: int | None, count: int
    ) -> None:
        for _ in range(count):
            self.host.publish(name, bytes(size), expiration=expiration, priority=priority)

    # --- consumers -------------------------------------------------------------------------

    def _channel(self, data: st.DataObject) -> TestChannel:
        """Return a channel, opened anew if it was closed for a mistake."""
        index = data.draw(st.integers(0, 1))
        if self.channels[index].refusal is not None:
            self._reopen(index)
        return self.channels[index]

    def _reopen(self, index: int) -> None:
        if self.channels[index].number in self.channels[index].peer.channels:
            self.channels[index].end()
        self.channels[index] = self.host.channel(consumer_timeout=30.0)

    @rule(data=st.data(), prefetch=st.integers(0, 3), no_ack=st.booleans())
    def consume(self, data: st.DataObject, prefetch: int, no_ack: bool) -> None:
        channel = self._channel(data)
        name = data.draw(st.sampled_from(NAMES))
        if name not in self.host.vhost.queues:
            return
        channel.qos(prefetch)
        arguments = data.draw(
            st.fixed_dictionaries({}, optional={"priority": st.integers(0, 2)})
            if self.host.vhost.queues[name].kind != "stream"
            else st.fixed_dictionaries({"stream_offset": st.sampled_from(["first", "last", 3])})
        )
        channel.consume(name, f"tag-{len(channel.consumers)}", no_ack=no_ack, **arguments)

    @rule(data=st.data(), no_ack=st.booleans())
    def get(self, data: st.DataObject, no_ack: bool) -> None:
        channel = self._channel(data)
        name = data.draw(st.sampled_from(NAMES))
        queue = self.host.vhost.queues.get(name)
        if queue is not None and queue.kind != "stream":
            channel.get(name, no_ack=no_ack)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        channel = self._channel(data)
        if channel.consumers:
            channel.cancel(data.draw(st.sampled_from(sorted(channel.consumers))))

    @rule(index=st.integers(0, 1))
    def close(self, index: int) -> None:
        self._reopen(index)

    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        channel = self._channel(data)
        channel.recover()

    @precondition(lambda self: any(channel.unsettled for channel in self.channels))
    @rule(data=st.data(), multiple=st.booleans())
    def settle(self, data: st.DataObject, multiple: bool) -> None:
        channel = self._channel(data)
        if not channel.unsettled:
            return
        tag = data.draw(st.sampled_from(sorted(channel.unsettled)))
        how = data.draw(st.sampled_from(["ack", "nack", "reject", "discard"]))
        if how == "ack":
            channel.ack(tag, multiple=multiple)
        elif how == "reject":
            channel.reject(tag)
        else:
            channel.nack(tag, multiple=multiple, requeue=how == "nack")

    # --- the world -------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 7.0, 25.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.host.clock.turn(seconds)

    @rule(length=st.integers(0, 2), ttl=st.sampled_from([500, 5000]))
    def set_policy(self, length: int, ttl: int) -> None:
        definition = {"max-length": length, "message-ttl": ttl}
        self.host.vhost.policies.set(
            Policy(name="p", pattern="a|b", definition=definition, apply_to="classic_queues")
        )
        self.host.vhost.apply_policies()

    # --- what always holds -----------------------------------------------------------------

    @invariant()
    def unsettled_counts_agree(self) -> None:
        counts: dict[object, int] = {}
        for channel in self.channels:
            held = 0
            for _, queue, consumer in channel.unsettled.values():
                counts[queue] = counts.get(queue, 0) + 1
                held += consumer is not None
            assert channel.outstanding == held
            for consumer in channel.consumers.values():
                mine = [each for _, _, each in channel.unsettled.values() if each is consumer]
                assert consumer.outstanding == len(mine)
        for queue in self.host.vhost.queues.values():
            assert queue.unsettled == counts.get(queue, 0)

    @invariant()
    def bytes_are_those_of_what_is_ready(self) -> None:
        for queue in self.host.vhost.queues.values():
            entries = list(queue.entries())
            assert queue.ready == len(entries)
            assert queue.message_bytes == sum(entry.size for entry in entries)

    @invariant()
    def memory_is_at_least_what_is_held(self) -> None:
        ready = sum(
            queue.message_bytes + queue.ready * OVERHEAD
            for queue in self.host.vhost.queues.values()
        )
        assert self.host.memory.used >= ready

    @invariant()
    def nobody_waits_who_could_be_served(self) -> None:
        for queue in self.host.vhost.queues.values():
            if queue.kind == "stream" or not queue.ready:
                continue
            able = [each for each in queue.roster if each.has_room()]
            if queue.roster.single:
                able = [each for each in able if each is queue.roster.active and not each.parked]
            assert not able, (queue, able)

    def teardown(self) -> None:
        for channel in self.channels:
            if channel.number in channel.peer.channels:
                channel.end()
        for queue in list(self.host.vhost.queues.values()):
            self.host.vhost.delete_queue(queue)
        assert self.host.memory.used == 0
        self.host.clock.turn(1000)
        assert self.host.clock.pending == 0


@pytest.mark.parametrize("release", RELEASES)
def test_counts_agree_and_memory_comes_back(release: str) -> None:
    machine = type("Accounting", (Accounting,), {"release": release})
    run_state_machine_as_test(machine, settings=trials(60, steps=40))
