# Publishes and their confirms: the twins of hopmq.core.pending and hopmq.core.confirms.


@cython.no_gc
@cython.freelist(256)
cdef class Receipt:
    """A publish that the broker confirmed: it has the message.

    Attributes:
        delivery_tag: The publish's number on its channel; 0 on a channel without confirms,
            where nothing is known but that the message was handed to the network.
        resent: Whether it was written again on another link (`on_disconnect="resend"`), so that
            it may have arrived more than once, under the same message id.
        retry_safe: False, since publishing again makes a duplicate.
    """

    retry_safe = False

    cdef public uint64_t delivery_tag
    cdef public bint resent

    def __init__(self, uint64_t delivery_tag, bint resent=False):
        """Stand for the confirm of `delivery_tag`."""
        self.delivery_tag = delivery_tag
        self.resent = resent

    @property
    def confirmed(self):
        """Whether the broker confirmed it; False only on a channel without confirms."""
        return self.delivery_tag > 0

    def __repr__(self):
        """Show the tag."""
        resent = ", resent=True" if self.resent else ""
        return f"Receipt(delivery_tag={self.delivery_tag}{resent})"

    def __reduce__(self):
        return type(self), (self.delivery_tag, self.resent)


cdef class Pending:
    """The state of a publish until its outcome is known."""

    cdef public int64_t size
    cdef public double begun
    cdef public double deadline
    cdef public uint64_t delivery_tag
    cdef public bint resent
    cdef public bint _settled
    cdef public object _error
    cdef list waiters

    def __init__(self, int64_t size, double begun, double timeout):
        """Start undecided, with `timeout` seconds from `begun` on."""
        self.size = size
        self.begun = begun
        self.deadline = begun + timeout
        self.delivery_tag = 0
        self.resent = False
        self._settled = False
        self._error = None
        self.waiters = None

    def done(self):
        """Return whether the outcome is known."""
        return self._settled

    @property
    def outcome(self):
        """The outcome as a value, a `Receipt` or an error; None while it is not known."""
        if not self._settled:
            return None
        return self.receipt() if self._error is None else self._error

    def result(self):
        """Return the receipt, or raise the error, of a publish whose outcome is known."""
        if self._error is not None:
            raise self._error
        return self.receipt()

    cdef Receipt receipt(self):
        cdef Receipt receipt = Receipt.__new__(Receipt)
        receipt.delivery_tag = self.delivery_tag
        receipt.resent = self.resent
        return receipt

    def wake(self, waiter):
        """Set the result of `waiter` once the outcome is known."""
        if self.waiters is None:
            self.waiters = [waiter]
        else:
            self.waiters.append(waiter)

    cpdef bint confirmed(self) except -1:
        """End as confirmed, or as returned if the message came back before.

        Returns:
            Whether somebody waited.
        """
        return not self._settled and self._end()

    cpdef bint _end(self) except -1:
        cdef list waiters = self.waiters
        self._settled = True
        if waiters is not None:
            self.waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        return waiters is not None


@cython.final
cdef class ConfirmLedger:
    """Match confirms to publishes by delivery tag alone."""

    cdef dict outstanding
    cdef uint64_t following
    cdef uint64_t lowest
    cdef public int64_t outstanding_bytes
    cdef public int64_t unmatched
    cdef public object on_room
    cdef public object on_woken

    def __init__(self):
        """Start with nothing outstanding."""
        self.outstanding = {}
        self.following = 1
        self.lowest = 1
        self.outstanding_bytes = 0
        self.unmatched = 0
        self.on_room = None
        self.on_woken = None

    def __len__(self):
        """Return how many publishes are outstanding."""
        return len(self.outstanding)

    def __iter__(self):
        """Iterate over the outstanding publishes, oldest first."""
        return iter(list(self.outstanding.values()))

    @property
    def next_tag(self):
        """The tag that the next publish on this channel will have."""
        return self.following

    def register(self, publish):
        """Add the publish just written and return its delivery tag."""
        cdef object tag = self.following
        self.following += 1
        self.outstanding[tag] = publish
        self.outstanding_bytes += size_of(publish)
        return tag

    def acked(self, tag, bint multiple):
        """Settle what a basic.ack covers."""
        cdef bint woken = False
        if not multiple:
            publish = self.outstanding.pop(tag, None)
            if publish is None:
                self.unmatched += 1
                return
            self.outstanding_bytes -= size_of(publish)
            woken = confirm(publish)
        else:
            for publish in self.taken_up_to(tag):
                woken |= confirm(publish)
        if woken and self.on_woken is not None:
            self.on_woken()
        if self.on_room is not None:
            self.on_room()

    def nacked(self, tag, bint multiple):
        """Settle what a basic.nack covers."""
        if not multiple:
            publish = self.outstanding.pop(tag, None)
            if publish is None:
                self.unmatched += 1
                return
            self.outstanding_bytes -= size_of(publish)
            publish.nacked()
        else:
            for publish in self.taken_up_to(tag):
                publish.nacked()
        if self.on_room is not None:
            self.on_room()

    def returned(self, tag, message):
        """Tell the publish of `tag` that its message came back."""
        publish = self.outstanding.get(tag)
        if publish is None:
            self.unmatched += 1
            return
        publish.returned(message)

    def forget_all(self):
        """Empty the ledger and return what was outstanding, oldest first."""
        left = list(self.outstanding.values())
        self.outstanding.clear()
        self.outstanding_bytes = 0
        return left

    cdef list taken_up_to(self, object tag):
        # 0 means all (AMQP 0-9-1, basic.ack).
        cdef uint64_t last = self.following - 1 if tag == 0 else tag
        cdef list taken = []
        cdef dict outstanding = self.outstanding
        if last >= self.following or last < self.lowest:
            self.unmatched += 1
            return taken
        # Each tag is passed once in the channel's life, whatever the order of confirms.
        while self.lowest <= last:
            publish = outstanding.pop(self.lowest, None)
            self.lowest += 1
            if publish is not None:
                self.outstanding_bytes -= size_of(publish)
                taken.append(publish)
        return taken


cdef inline int64_t size_of(object publish) except? -1:
    if isinstance(publish, Pending):
        return (<Pending>publish).size
    return publish.size


cdef inline bint confirm(object publish) except -1:
    if isinstance(publish, Pending):
        return (<Pending>publish).confirmed()
    return publish.confirmed()
