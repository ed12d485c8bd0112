# Received bytes to events; the order of the checks is that of hopmq.wire.decoder.


cdef enum:
    PROTOCOL_HEADER_SIZE = 8


@cython.final
cdef class Decoder:
    """Parse a peer's stream, whatever pieces it comes in.

    Attributes:
        frame_max: Largest frame accepted, in bytes; set it after tuning.
        channel_max: Largest channel number accepted; set it after tuning.
    """

    cdef public int64_t frame_max
    cdef public int64_t channel_max
    cdef Assembly assembly
    cdef ReceiveBuffer buffer
    cdef int64_t offset
    cdef bint ended
    cdef bint parsing

    def __cinit__(
        self,
        *,
        frame_max=_FRAME_MIN_SIZE,
        channel_max=_MAX_CHANNEL,
        max_message_size=_DEFAULT_MAX_MESSAGE_SIZE,
        delivery_type=Delivery,
        fetched_type=Fetched,
    ):
        """Start at the first byte of a stream.

        Args:
            frame_max: Largest frame accepted, in bytes.
            channel_max: Largest channel number accepted.
            max_message_size: Largest body accepted; larger ones are skipped as `Oversized`.
            delivery_type: Subclass to make deliveries of, without calling its `__init__`.
            fetched_type: Likewise, for messages that were asked for.
        """
        self.frame_max = frame_max
        self.channel_max = channel_max
        self.assembly = Assembly(max_message_size, delivery_type, fetched_type)
        self.buffer = ReceiveBuffer()
        self.offset = 0
        self.ended = False
        self.parsing = False

    @property
    def buffered(self):
        """Bytes held that are not parsed yet."""
        return self.buffer.end - self.buffer.start

    def get_buffer(self, Py_ssize_t size_hint=-1):
        """Return writable room for received bytes; `received` then says how many came."""
        if self.parsing:
            self.refuse_entry()
        return self.buffer.room()

    def received(self, Py_ssize_t nbytes):
        """Parse what was written to the last `get_buffer()`, up to the end of a batch."""
        if self.parsing:
            self.refuse_entry()
        self.buffer.written(nbytes)
        return self.more()

    def rest(self):
        """Give back memory that only busy reads need: little has come lately."""
        if self.parsing:
            self.refuse_entry()
        self.buffer.rest()

    def feed(self, data):
        """Copy `data` in and parse, up to the end of a batch."""
        cdef Py_buffer octets
        if self.parsing:
            self.refuse_entry()
        PyObject_GetBuffer(data, &octets, PyBUF_SIMPLE)
        try:
            if not self.ended and octets.len:
                self.buffer.append(octets.buf, octets.len)
        finally:
            PyBuffer_Release(&octets)
        return self.more()

    cpdef list more(self):
        """Go on parsing after a batch that ended early; empty when nothing is left."""
        cdef list events = []
        if self.parsing:
            self.refuse_entry()
        if self.ended:
            self.clear()
            return events
        self.parsing = True
        try:
            self.parse(events)
        except FrameSyntaxError as error:
            self.ended = True
            frame = self.frame()
            events.append(
                FrameSyntaxError(self.offset, error.reason, error.reply_code, frame=frame)
            )
        finally:
            self.parsing = False
        return events

    def due(self, uint32_t channel):
        """Return which kind of frame has to come next on a channel."""
        cdef Partial partial = self.assembly.partial(channel)
        if partial is None:
            return "method"
        return "body" if partial.has_header else "header"

    def skip(self):
        """Go on behind the frame at fault; False when its head already is wrong.

        To be called before anything else is: what else has come is dropped otherwise.
        """
        cdef const uint8_t* head = self.buffer.base() + self.buffer.start
        cdef int64_t held = self.buffer.end - self.buffer.start
        cdef int64_t size
        if not self.ended or held < HEAD_SIZE:
            return False
        size = <int64_t>read32(head + 3) + FRAME_OVERHEAD
        if not is_frame_type(head[0]) or size > min(held, self.frame_max):
            return False
        if read16(head + 1) > self.channel_max:
            return False
        self.buffer.start += <Py_ssize_t>size
        self.offset += size
        self.ended = False
        return True

    cdef bytes frame(self):
        # What has come of the frame that parsing stands at.
        cdef const uint8_t* head = self.buffer.base() + self.buffer.start
        cdef int64_t size = self.buffer.end - self.buffer.start
        if size >= HEAD_SIZE:
            size = min(size, <int64_t>read32(head + 3) + FRAME_OVERHEAD)
        return PyBytes_FromStringAndSize(<const char*>head, <Py_ssize_t>size)

    cdef int refuse_entry(self) except -1:
        raise UsageError("the decoder is parsing already")

    cdef void clear(self) noexcept:
        self.buffer.start = 0
        self.buffer.end = 0

    cdef int parse(self, list events) except -1:
        # Nothing else moves the buffer while `parsing` is set, and this keeps it alive.
        cdef ReceiveBuffer buffer = self.buffer
        cdef const uint8_t* base = buffer.base()
        cdef const uint8_t* head
        cdef Py_ssize_t end = buffer.end
        cdef Cursor payload
        cdef uint32_t channel
        cdef int64_t size
        cdef bint batch_ends
        if self.offset == 0 and end > buffer.start and base[buffer.start] == b"A":
            return self.protocol_header(events, base)
        while end - buffer.start >= HEAD_SIZE:
            head = base + buffer.start
            channel = read16(head + 1)
            size = read32(head + 3)
            if (
                not is_frame_type(head[0])
                or size + FRAME_OVERHEAD > self.frame_max
                or channel > self.channel_max
            ):
                self.refuse_head(head, channel, size)
            if size + FRAME_OVERHEAD > end - buffer.start:
                return 0
            payload.at = head + HEAD_SIZE
            payload.end = payload.at + size
            if payload.end[0] != FRAME_END:
                raise FrameSyntaxError(0, reasons.wrong_end(payload.end[0]), 501)
            if head[0] == FRAME_METHOD:
                event = self.assembly.method(channel, &payload)
            elif head[0] == FRAME_BODY:
                event = self.assembly.body(channel, &payload)
            elif head[0] == FRAME_HEADER:
                event = self.assembly.header(channel, &payload)
            else:
                event = heartbeat(channel, size)
            batch_ends = head[0] == FRAME_METHOD and head[8] == CONNECTION_CLASS and not head[7]
            buffer.start += <Py_ssize_t>size + FRAME_OVERHEAD
            self.offset += size + FRAME_OVERHEAD
            if event is not None:
                PyList_Append(events, event)
                if batch_ends:
                    return 0
        return 0

    cdef int protocol_header(self, list events, const uint8_t* base) except -1:
        cdef ReceiveBuffer buffer = self.buffer
        cdef bytes raw
        if buffer.end - buffer.start < PROTOCOL_HEADER_SIZE:
            return 0
        raw = PyBytes_FromStringAndSize(<const char*>base + buffer.start, PROTOCOL_HEADER_SIZE)
        if not raw.startswith(b"AMQP"):
            raise FrameSyntaxError(0, reasons.not_amqp(raw), 501)
        buffer.start += PROTOCOL_HEADER_SIZE
        self.offset += PROTOCOL_HEADER_SIZE
        events.append(ProtocolHeader(raw))
        return 0

    cdef int refuse_head(self, const uint8_t* head, uint32_t channel, int64_t size) except -1:
        if not is_frame_type(head[0]):
            if self.offset == 0:
                raw = PyBytes_FromStringAndSize(<const char*>head, HEAD_SIZE)
                raise FrameSyntaxError(0, reasons.not_amqp(raw), 501)
            raise FrameSyntaxError(0, reasons.unknown_frame(head[0]), 501)
        if size + FRAME_OVERHEAD > self.frame_max:
            raise FrameSyntaxError(0, reasons.frame_too_large(size, self.frame_max), 501)
        raise FrameSyntaxError(0, reasons.channel_too_large(channel, self.channel_max), 504)


cdef inline bint is_frame_type(uint8_t kind) noexcept nogil:
    return FRAME_METHOD <= kind <= FRAME_BODY or kind == FRAME_HEARTBEAT


cdef object heartbeat(uint32_t channel, int64_t size):
    if channel:
        raise FrameSyntaxError(0, reasons.heartbeat_channel(channel), 501)
    if size:
        raise FrameSyntaxError(0, reasons.HEARTBEAT_PAYLOAD, 501)
    return Heartbeat.__new__(Heartbeat)
