# From frames to events: methods, and contents put together from theirs.


cdef extern from "Python.h":
    PyObject* PyBytes_FromString_Or_Null "PyBytes_FromStringAndSize" (
        const char* data, Py_ssize_t size
    ) except NULL
    int _PyBytes_Resize(PyObject** data, Py_ssize_t size) except -1
    char* PyBytes_Data "PyBytes_AS_STRING" (PyObject* data) noexcept
    void PyObject_GC_UnTrack(void* instance) noexcept


cdef inline bint is_text(str text, Cursor* cursor) noexcept:
    # Whether `text` is what the bytes spell; False when that is not plain to see.
    cdef Py_ssize_t size = cursor.end - cursor.at
    return (
        PyUnicode_GET_LENGTH(text) == size
        and PyUnicode_IS_COMPACT_ASCII(text)
        and memcmp(PyUnicode_DATA(text), cursor.at, size) == 0
    )


@cython.final
cdef class LastText:
    # The last short string of one field: those of a stream mostly repeat.
    cdef str text

    def __cinit__(self):
        self.text = ""

    cdef inline str take(self, Cursor* cursor):
        cdef Cursor inner
        open_short(cursor, &inner)
        if not is_text(self.text, &inner):
            self.text = text_of(&inner)
        return self.text


@cython.final
cdef class Partial:
    # A content whose frames have not all come. `content` is None when the body is skipped.
    cdef Content content
    cdef bint has_header
    cdef uint64_t remaining
    cdef PyObject* parts
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity

    def __cinit__(self):
        self.parts = NULL
        self.size = 0
        self.capacity = 0

    def __dealloc__(self):
        Py_XDECREF(self.parts)

    cdef int add(self, Cursor* payload) except -1:
        # Make room by what has come: at most twice that, never what is announced.
        cdef Py_ssize_t size = payload.end - payload.at
        cdef Py_ssize_t needed = self.size + size
        if self.parts == NULL:
            self.parts = PyBytes_FromString_Or_Null(NULL, needed)
            self.capacity = needed
        elif needed > self.capacity:
            self.capacity = needed
            if self.remaining:
                self.capacity += <Py_ssize_t>min(self.remaining, <uint64_t>needed)
            _PyBytes_Resize(&self.parts, self.capacity)
        memcpy(PyBytes_Data(self.parts) + self.size, payload.at, size)
        self.size = needed
        return 0

    cdef bytes joined(self):
        cdef bytes body
        if self.size != self.capacity:
            _PyBytes_Resize(&self.parts, self.size)
        body = <bytes>self.parts
        Py_XDECREF(self.parts)
        self.parts = NULL
        self.size = 0
        self.capacity = 0
        return body


@cython.final
cdef class Assembly:
    # The contents that a stream's channels have in progress. The one that began first stands
    # in `first`, which is used again and again; others, which are rare, stand in `others`.
    cdef object delivery_type
    cdef object fetched_type
    cdef uint64_t max_size
    cdef uint64_t limit
    cdef uint64_t unfinished
    cdef int64_t first_channel
    cdef Partial first
    cdef dict others
    cdef LastText consumer_tag
    cdef LastText exchange
    cdef LastText routing_key

    def __cinit__(self, uint64_t max_size, delivery_type, fetched_type):
        if not issubclass(delivery_type, Delivery):
            raise TypeError("delivery_type must be a subclass of Delivery")
        if not issubclass(fetched_type, Fetched):
            raise TypeError("fetched_type must be a subclass of Fetched")
        self.delivery_type = delivery_type
        self.fetched_type = fetched_type
        self.max_size = max_size
        self.limit = max_size * <uint64_t>INCOMPLETE_MESSAGES
        if self.limit < max_size:
            self.limit = LONGLONG_MAX
        self.unfinished = 0
        self.first_channel = -1
        self.first = Partial()
        self.others = {}
        self.consumer_tag = LastText()
        self.exchange = LastText()
        self.routing_key = LastText()

    cdef inline Partial partial(self, uint32_t channel):
        if channel == self.first_channel:
            return self.first
        return self.others.get(channel) if self.others else None

    cdef int begin(self, uint32_t channel, Content content) except -1:
        cdef Partial partial
        if self.first_channel < 0:
            partial = self.first
            self.first_channel = channel
        else:
            partial = Partial()
            self.others[channel] = partial
        content.channel = channel
        partial.content = content
        partial.has_header = False
        partial.remaining = 0
        return 0

    cdef int forget(self, uint32_t channel) except -1:
        if channel == self.first_channel:
            self.first_channel = -1
            self.first.content = None
        else:
            del self.others[channel]
        return 0

    cdef object method(self, uint32_t channel, Cursor* payload):
        # Return the method's event, or None while a content follows.
        cdef uint32_t index
        if payload.end - payload.at < 4:
            refuse_value(reasons.METHOD_TOO_SHORT)
        index = read32(take(payload, 4))
        if not is_hot(index) or not channel or self.partial(channel) is not None:
            return self.cold(channel, index, payload)
        try:
            event = self.hot(channel, index, payload)
            if payload.at != payload.end:
                refuse_value(reasons.LEFT_OVER)
        except FrameSyntaxError as error:
            refuse_value(reasons.in_method((<MethodPlan>METHODS[index]).name, error.reason))
        if index == BASIC_DELIVER or index == BASIC_GET_OK or index == BASIC_RETURN \
                or index == BASIC_PUBLISH:
            self.begin(channel, event)
            return None
        return event

    cdef object cold(self, uint32_t channel, uint32_t index, Cursor* payload):
        cdef MethodPlan plan = METHODS.get(index)
        cdef Method event
        if plan is None:
            raise FrameSyntaxError(0, reasons.unknown_method(index >> 16, index & 0xFFFF), 540)
        if (index >> 16 == CONNECTION_CLASS) != (channel == 0):
            raise FrameSyntaxError(0, reasons.wrong_channel(plan.name, channel), 503)
        if self.partial(channel) is not None:
            raise FrameSyntaxError(0, reasons.within_content(plan.name, channel), 505)
        event = Method.__new__(Method)
        event.channel = channel
        event.method = take_method(payload, plan)
        return event

    cdef inline object hot(self, uint32_t channel, uint32_t index, Cursor* payload):
        if index == BASIC_DELIVER:
            return self.deliver(payload)
        if index == BASIC_ACK:
            return take_ack(channel, payload)
        if index == BASIC_NACK:
            return take_nack(channel, payload)
        if index == BASIC_PUBLISH:
            return self.publish(payload)
        if index == BASIC_GET_OK:
            return self.get_ok(payload)
        if index == BASIC_REJECT:
            return take_reject(channel, payload)
        return self.returned(payload)

    cdef Delivery deliver(self, Cursor* payload):
        cdef Delivery event = hopmq_new_object(self.delivery_type, NO_ARGUMENTS)
        event.consumer_tag = self.consumer_tag.take(payload)
        event.delivery_tag = read64(take(payload, 8))
        event.redelivered = take(payload, 1)[0] & 1
        event.exchange = self.exchange.take(payload)
        event.routing_key = self.routing_key.take(payload)
        return event

    cdef Fetched get_ok(self, Cursor* payload):
        cdef Fetched event = hopmq_new_object(self.fetched_type, NO_ARGUMENTS)
        event.delivery_tag = read64(take(payload, 8))
        event.redelivered = take(payload, 1)[0] & 1
        event.exchange = self.exchange.take(payload)
        event.routing_key = self.routing_key.take(payload)
        event.message_count = read32(take(payload, 4))
        return event

    cdef Returned returned(self, Cursor* payload):
        cdef Returned event = Returned.__new__(Returned)
        event.reply_code = read16(take(payload, 2))
        event.reply_text = take_short(payload)
        event.exchange = self.exchange.take(payload)
        event.routing_key = self.routing_key.take(payload)
        return event

    cdef Published publish(self, Cursor* payload):
        cdef Published event = Published.__new__(Published)
        cdef uint8_t bits
        # It refers to nothing that could refer back, and a broker keeps millions: the garbage
        # collector would walk through all of them, and stand still for as long.
        PyObject_GC_UnTrack(<void*>event)
        take(payload, 2)
        event.exchange = self.exchange.take(payload)
        event.routing_key = self.routing_key.take(payload)
        bits = take(payload, 1)[0]
        event.mandatory = bits & 1
        event.immediate = bits >> 1 & 1
        return event

    cdef object header(self, uint32_t channel, Cursor* payload):
        # Return the content if its body is empty.
        cdef Partial partial
        cdef Content content
        cdef const uint8_t* at
        cdef uint64_t size
        if not channel:
            raise FrameSyntaxError(0, reasons.content_on_zero("content header"), 504)
        partial = self.partial(channel)
        if partial is None:
            raise FrameSyntaxError(0, reasons.header_unexpected(channel), 505)
        if partial.has_header:
            raise FrameSyntaxError(0, reasons.within_content("content header", channel), 505)
        if payload.end - payload.at < 14:
            refuse_value(reasons.HEADER_TOO_SHORT)
        at = take(payload, 12)
        if read16(at) != BASIC_CLASS:
            raise FrameSyntaxError(0, reasons.header_class(read16(at)), 501)
        if read16(at + 2):
            raise FrameSyntaxError(0, reasons.header_weight(read16(at + 2)), 501)
        size = read64(at + 4)
        content = partial.content
        content.raw_properties = raw_properties_of(payload)
        partial.has_header = True
        partial.remaining = size
        if size > self.max_size:
            partial.content = None
            return Oversized(channel, size)
        if size:
            return None
        content.body = b""
        self.forget(channel)
        return content

    cdef object body(self, uint32_t channel, Cursor* payload):
        # Return the content if that was the last of its body.
        cdef Partial partial
        cdef Content content
        cdef Py_ssize_t size = payload.end - payload.at
        if not channel:
            raise FrameSyntaxError(0, reasons.content_on_zero("content body"), 504)
        partial = self.partial(channel)
        if partial is None or not partial.has_header:
            raise FrameSyntaxError(0, reasons.body_unexpected(channel), 505)
        if <uint64_t>size > partial.remaining:
            raise FrameSyntaxError(0, reasons.body_too_long(size, partial.remaining), 501)
        partial.remaining -= <uint64_t>size
        content = partial.content
        if partial.remaining:
            if content is not None:
                self.keep(partial, payload)
            return None
        if content is None:
            self.forget(channel)
            return None
        if partial.parts == NULL:
            content.body = bytes_of(payload)
        else:
            self.unfinished -= <uint64_t>partial.size
            partial.add(payload)
            content.body = partial.joined()
        self.forget(channel)
        return content

    cdef int keep(self, Partial partial, Cursor* payload) except -1:
        self.unfinished += <uint64_t>(payload.end - payload.at)
        if self.unfinished > self.limit:
            raise FrameSyntaxError(0, reasons.too_much_unfinished(self.limit), 506)
        return partial.add(payload)


cdef inline bint is_hot(uint32_t index) noexcept nogil:
    return (
        index == BASIC_DELIVER
        or index == BASIC_ACK
        or index == BASIC_NACK
        or index == BASIC_REJECT
        or index == BASIC_PUBLISH
        or index == BASIC_GET_OK
        or index == BASIC_RETURN
    )


cdef inline bytes raw_properties_of(Cursor* payload):
    # The property list, once it is known to be one.
    cdef Cursor walk = payload[0]
    check_properties(&walk)
    if payload.end - payload.at == 2:
        return NO_PROPERTIES
    return bytes_of(payload)


cdef inline Ack take_ack(uint32_t channel, Cursor* payload):
    cdef Ack event = Ack.__new__(Ack)
    event.channel = channel
    event.delivery_tag = read64(take(payload, 8))
    event.multiple = take(payload, 1)[0] & 1
    return event


cdef inline Nack take_nack(uint32_t channel, Cursor* payload):
    cdef Nack event = Nack.__new__(Nack)
    cdef uint8_t bits
    event.channel = channel
    event.delivery_tag = read64(take(payload, 8))
    bits = take(payload, 1)[0]
    event.multiple = bits & 1
    event.requeue = bits >> 1 & 1
    return event


cdef inline Reject take_reject(uint32_t channel, Cursor* payload):
    cdef Reject event = Reject.__new__(Reject)
    event.channel = channel
    event.delivery_tag = read64(take(payload, 8))
    event.requeue = take(payload, 1)[0] & 1
    return event
