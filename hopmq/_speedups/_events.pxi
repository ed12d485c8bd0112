# What a decoder returns; the fields and their order are those of hopmq.wire.events.


cdef inline int64_t octets_of(Content content) except -1:
    if content.body is None or content.raw_properties is None:
        raise TypeError("a message without a body or properties")
    return PyBytes_GET_SIZE(content.body) + PyBytes_GET_SIZE(content.raw_properties)


cdef class Content:
    """A message with its body and properties; `context` is free for upper layers."""

    __match_args__ = ("channel", "exchange", "routing_key", "body", "raw_properties")

    cdef public uint32_t channel
    cdef public str exchange
    cdef public str routing_key
    cdef public bytes body
    cdef public bytes raw_properties
    cdef public object context
    cdef object _properties

    def __init__(
        self,
        channel=0,
        exchange="",
        routing_key="",
        body=b"",
        raw_properties=NO_PROPERTIES,
        context=None,
    ):
        self.channel = channel
        self.exchange = exchange
        self.routing_key = routing_key
        self.body = body
        self.raw_properties = raw_properties
        self.context = context
        self._properties = None

    def octets(self):
        """Return the size of body and properties."""
        return octets_of(self)

    @property
    def properties(self):
        """The message's properties, decoded when first read."""
        if self._properties is None:
            self._properties = decode_properties(self.raw_properties)
        return self._properties

    @properties.setter
    def properties(self, value):
        self._properties = value

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


cdef class Delivery(Content):
    """A message for a consumer (basic.deliver)."""

    __match_args__ = (*Content.__match_args__, "consumer_tag", "delivery_tag", "redelivered")

    cdef public str consumer_tag
    cdef public uint64_t delivery_tag
    cdef public bint redelivered

    def __init__(
        self,
        channel=0,
        exchange="",
        routing_key="",
        body=b"",
        raw_properties=NO_PROPERTIES,
        consumer_tag="",
        delivery_tag=0,
        redelivered=False,
        context=None,
    ):
        Content.__init__(self, channel, exchange, routing_key, body, raw_properties, context)
        self.consumer_tag = consumer_tag
        self.delivery_tag = delivery_tag
        self.redelivered = redelivered

    def admit(self, context, set unsettled):
        """Belong to `context`; count as unsettled, unless it needs no settling."""
        self.context = context
        if unsettled is not None:
            unsettled.add(self.delivery_tag)


cdef class Fetched(Content):
    """A message that was asked for (basic.get-ok)."""

    __match_args__ = (*Content.__match_args__, "delivery_tag", "redelivered", "message_count")

    cdef public uint64_t delivery_tag
    cdef public bint redelivered
    cdef public uint32_t message_count

    def __init__(
        self,
        channel=0,
        exchange="",
        routing_key="",
        body=b"",
        raw_properties=NO_PROPERTIES,
        delivery_tag=0,
        redelivered=False,
        message_count=0,
        context=None,
    ):
        Content.__init__(self, channel, exchange, routing_key, body, raw_properties, context)
        self.delivery_tag = delivery_tag
        self.redelivered = redelivered
        self.message_count = message_count


cdef class Returned(Content):
    """A message that came back unrouted (basic.return)."""

    __match_args__ = (*Content.__match_args__, "reply_code", "reply_text")

    cdef public uint32_t reply_code
    cdef public str reply_text

    def __init__(
        self,
        channel=0,
        exchange="",
        routing_key="",
        body=b"",
        raw_properties=NO_PROPERTIES,
        reply_code=0,
        reply_text="",
        context=None,
    ):
        Content.__init__(self, channel, exchange, routing_key, body, raw_properties, context)
        self.reply_code = reply_code
        self.reply_text = reply_text


cdef class Published(Content):
    """A message that a client publishes (basic.publish)."""

    __match_args__ = (*Content.__match_args__, "mandatory", "immediate")

    cdef public bint mandatory
    cdef public bint immediate

    def __init__(
        self,
        channel=0,
        exchange="",
        routing_key="",
        body=b"",
        raw_properties=NO_PROPERTIES,
        mandatory=False,
        immediate=False,
        context=None,
    ):
        Content.__init__(self, channel, exchange, routing_key, body, raw_properties, context)
        self.mandatory = mandatory
        self.immediate = immediate


@cython.no_gc
@cython.freelist(64)
cdef class Ack:
    """Deliveries are settled, or publishes confirmed (basic.ack)."""

    __match_args__ = ("channel", "delivery_tag", "multiple")

    cdef public uint32_t channel
    cdef public uint64_t delivery_tag
    cdef public bint multiple

    def __init__(self, channel=0, delivery_tag=0, multiple=False):
        self.channel = channel
        self.delivery_tag = delivery_tag
        self.multiple = multiple

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


@cython.no_gc
@cython.freelist(64)
cdef class Nack:
    """Deliveries or publishes are refused (basic.nack)."""

    __match_args__ = ("channel", "delivery_tag", "multiple", "requeue")

    cdef public uint32_t channel
    cdef public uint64_t delivery_tag
    cdef public bint multiple
    cdef public bint requeue

    def __init__(self, channel=0, delivery_tag=0, multiple=False, requeue=False):
        self.channel = channel
        self.delivery_tag = delivery_tag
        self.multiple = multiple
        self.requeue = requeue

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


@cython.no_gc
@cython.freelist(64)
cdef class Reject:
    """One delivery is refused (basic.reject)."""

    __match_args__ = ("channel", "delivery_tag", "requeue")

    cdef public uint32_t channel
    cdef public uint64_t delivery_tag
    cdef public bint requeue

    def __init__(self, channel=0, delivery_tag=0, requeue=False):
        self.channel = channel
        self.delivery_tag = delivery_tag
        self.requeue = requeue

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


cdef class Method:
    """Any other method, as pamqp's class of it."""

    __match_args__ = ("channel", "method")

    cdef public uint32_t channel
    cdef public object method

    def __init__(self, channel, method):
        self.channel = channel
        self.method = method

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


cdef class Heartbeat:
    """The peer is alive."""

    __match_args__ = ()

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


cdef class ProtocolHeader:
    """What a client sends first, and a server that speaks another version."""

    __match_args__ = ("raw",)

    cdef public bytes raw

    def __init__(self, raw=b""):
        self.raw = raw

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)


cdef class Oversized:
    """A content larger than `max_message_size`; its body is skipped."""

    __match_args__ = ("channel", "size")

    cdef public uint32_t channel
    cdef public uint64_t size

    def __init__(self, channel=0, size=0):
        self.channel = channel
        self.size = size

    def __eq__(self, other):
        return same_event(self, other)

    def __repr__(self):
        return show_event(self)
