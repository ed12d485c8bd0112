# Frames to send.


cdef enum:
    HEAD_SIZE = 7

    BASIC_PUBLISH = 0x003C0028
    BASIC_RETURN = 0x003C0032
    BASIC_DELIVER = 0x003C003C
    BASIC_GET_OK = 0x003C0047
    BASIC_ACK = 0x003C0050
    BASIC_REJECT = 0x003C005A
    BASIC_NACK = 0x003C0078


cdef inline void write_head(
    uint8_t* at, uint8_t kind, uint32_t channel, uint32_t size
) noexcept nogil:
    at[0] = kind
    write16(at + 1, channel)
    write32(at + 3, size)


cdef inline int open_method(Scratch* scratch, uint32_t index) except -1:
    # The frame's head is left open until its size is known.
    write32(room(scratch, HEAD_SIZE + 4) + HEAD_SIZE, index)
    return 0


cdef int refuse_size(Py_ssize_t size, object frame_max, str path) except -1:
    raise EncodeError(reasons.exceeds_frame(size, frame_max), path)


cdef inline uint32_t channel_of(object channel) except? 0xFFFFFFFF:
    return <uint32_t>named_unsigned(channel, CHANNEL_LIMIT, "channel")


def encode_method(channel, method, int64_t frame_max):
    """Return the frame of a method.

    Raises:
        EncodeError: When an argument has no exact AMQP form, or the frame exceeds `frame_max`.
    """
    cdef Scratch scratch
    cdef uint32_t number = channel_of(channel)
    open_scratch(&scratch)
    try:
        room(&scratch, HEAD_SIZE)
        put_method(&scratch, method)
        put8(&scratch, FRAME_END)
        if scratch.size > frame_max:
            refuse_size(scratch.size, frame_max, "")
        write_head(scratch.data, FRAME_METHOD, number, <uint32_t>(scratch.size - FRAME_OVERHEAD))
        return scratch_bytes(&scratch)
    finally:
        close_scratch(&scratch)


cdef bytes settle_frame(uint32_t index, object channel, object delivery_tag, uint8_t bits):
    cdef uint32_t number = channel_of(channel)
    cdef uint64_t tag = named_unsigned(delivery_tag, LONGLONG_MAX, "delivery_tag")
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, 21)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(frame)
    write_head(at, FRAME_METHOD, number, 13)
    write32(at + 7, index)
    write64(at + 11, tag)
    at[19] = bits
    at[20] = FRAME_END
    return frame


def encode_ack(channel, delivery_tag, bint multiple):
    """Return a basic.ack frame."""
    return settle_frame(BASIC_ACK, channel, delivery_tag, multiple)


def encode_nack(channel, delivery_tag, bint multiple, bint requeue):
    """Return a basic.nack frame."""
    return settle_frame(
        BASIC_NACK, channel, delivery_tag, (1 if multiple else 0) | (2 if requeue else 0)
    )


def encode_reject(channel, delivery_tag, bint requeue):
    """Return a basic.reject frame."""
    return settle_frame(BASIC_REJECT, channel, delivery_tag, requeue)


cdef int put_header(Scratch* scratch, uint32_t channel, object properties) except -1:
    # The content header's frame, but for its head and the body's size.
    cdef uint8_t* at = room(scratch, HEAD_SIZE + 12) + HEAD_SIZE
    write32(at, BASIC_CLASS << 16)
    if properties is None:
        put16(scratch, 0)
    elif isinstance(properties, PROPERTIES):
        put_properties(scratch, properties)
    elif not isinstance(properties, bytes):
        raise EncodeError(
            reasons.wrong_type("Properties, bytes or None", properties), "properties"
        )
    elif PyBytes_GET_SIZE(properties) < 2:
        raise EncodeError(reasons.RAW_PROPERTIES, "properties")
    else:
        put_raw(scratch, PyBytes_AS_STRING(properties), PyBytes_GET_SIZE(properties))
    return 0


cdef bytes body_bytes(object body):
    cdef Place place
    if isinstance(body, bytes):
        return body
    if not isinstance(body, (bytearray, memoryview)):
        raise EncodeError(reasons.wrong_type("bytes, bytearray or memoryview", body), "body")
    place = named("body")
    return copied(body, &place)


cdef Py_ssize_t append_content(
    list out,
    Scratch* scratch,
    uint32_t channel,
    object properties,
    object body,
    int64_t frame_max,
) except -1:
    # The scratch holds the open method frame up to its last argument.
    cdef Py_ssize_t method_size, header_size
    cdef uint8_t* header
    cdef bytes data
    put8(scratch, FRAME_END)
    method_size = scratch.size
    put_header(scratch, channel, properties)
    put8(scratch, FRAME_END)
    header_size = scratch.size - method_size
    data = body_bytes(body)
    if method_size > frame_max:
        refuse_size(method_size, frame_max, "")
    if header_size > frame_max:
        refuse_size(header_size, frame_max, "properties")
    write_head(
        scratch.data, FRAME_METHOD, channel, <uint32_t>(method_size - FRAME_OVERHEAD)
    )
    header = scratch.data + method_size
    write_head(header, FRAME_HEADER, channel, <uint32_t>(header_size - FRAME_OVERHEAD))
    write64(header + HEAD_SIZE + 4, <uint64_t>PyBytes_GET_SIZE(data))
    if PyBytes_GET_SIZE(data) >= REFERENCE_SIZE:
        return append_by_reference(out, scratch, channel, data, frame_max - FRAME_OVERHEAD)
    return append_copied(out, scratch, channel, data, frame_max - FRAME_OVERHEAD)


cdef Py_ssize_t append_copied(
    list out, Scratch* scratch, uint32_t channel, bytes data, int64_t payload_max
) except -1:
    cdef const char* source = PyBytes_AS_STRING(data)
    cdef Py_ssize_t rest = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t size, count, total
    cdef bytes frames
    cdef uint8_t* at
    count = <Py_ssize_t>((rest + payload_max - 1) // payload_max) if rest else 0
    total = scratch.size + rest + FRAME_OVERHEAD * count
    frames = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t*>PyBytes_AS_STRING(frames)
    memcpy(at, scratch.data, scratch.size)
    at += scratch.size
    while rest:
        size = <Py_ssize_t>min(<int64_t>rest, payload_max)
        write_head(at, FRAME_BODY, channel, <uint32_t>size)
        memcpy(at + HEAD_SIZE, source, size)
        at[HEAD_SIZE + size] = FRAME_END
        at += size + FRAME_OVERHEAD
        source += size
        rest -= size
    PyList_Append(out, frames)
    return total


cdef Py_ssize_t append_by_reference(
    list out, Scratch* scratch, uint32_t channel, bytes data, int64_t payload_max
) except -1:
    cdef Py_ssize_t whole = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t size
    cdef Py_ssize_t total = 0
    cdef object view = memoryview(data)
    cdef list pieces = []
    while start < whole:
        size = <Py_ssize_t>min(<int64_t>(whole - start), payload_max)
        write_head(room(scratch, HEAD_SIZE), FRAME_BODY, channel, <uint32_t>size)
        pieces.append(scratch_bytes(scratch))
        pieces.append(data if size == whole else view[start:start + size])
        total += scratch.size + size
        start += size
        scratch.size = 0
        put8(scratch, FRAME_END)
    pieces.append(scratch_bytes(scratch))
    out += pieces
    return total + 1


def append_publish(
    list out not None,
    channel,
    exchange,
    routing_key,
    bint mandatory,
    properties,
    body,
    int64_t frame_max,
):
    """Append the frames of a basic.publish to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    cdef Scratch scratch
    cdef uint32_t number = channel_of(channel)
    open_scratch(&scratch)
    try:
        open_method(&scratch, BASIC_PUBLISH)
        put16(&scratch, 0)
        put_named_short(&scratch, exchange, "exchange")
        put_named_short(&scratch, routing_key, "routing_key")
        put8(&scratch, mandatory)
        return append_content(out, &scratch, number, properties, body, frame_max)
    finally:
        close_scratch(&scratch)


def append_deliver(
    list out not None,
    channel,
    consumer_tag,
    delivery_tag,
    bint redelivered,
    exchange,
    routing_key,
    properties,
    body,
    int64_t frame_max,
):
    """Append the frames of a basic.deliver to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    cdef Scratch scratch
    cdef uint32_t number = channel_of(channel)
    open_scratch(&scratch)
    try:
        open_method(&scratch, BASIC_DELIVER)
        put_named_short(&scratch, consumer_tag, "consumer_tag")
        put64(&scratch, named_unsigned(delivery_tag, LONGLONG_MAX, "delivery_tag"))
        put8(&scratch, redelivered)
        put_named_short(&scratch, exchange, "exchange")
        put_named_short(&scratch, routing_key, "routing_key")
        return append_content(out, &scratch, number, properties, body, frame_max)
    finally:
        close_scratch(&scratch)


def append_get_ok(
    list out not None,
    channel,
    delivery_tag,
    bint redelivered,
    exchange,
    routing_key,
    message_count,
    properties,
    body,
    int64_t frame_max,
):
    """Append the frames of a basic.get-ok to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    cdef Scratch scratch
    cdef uint32_t number = channel_of(channel)
    open_scratch(&scratch)
    try:
        open_method(&scratch, BASIC_GET_OK)
        put64(&scratch, named_unsigned(delivery_tag, LONGLONG_MAX, "delivery_tag"))
        put8(&scratch, redelivered)
        put_named_short(&scratch, exchange, "exchange")
        put_named_short(&scratch, routing_key, "routing_key")
        put32(&scratch, <uint32_t>named_unsigned(message_count, LONG_MAX, "message_count"))
        return append_content(out, &scratch, number, properties, body, frame_max)
    finally:
        close_scratch(&scratch)


def append_return(
    list out not None,
    channel,
    reply_code,
    reply_text,
    exchange,
    routing_key,
    properties,
    body,
    int64_t frame_max,
):
    """Append the frames of a basic.return to `out`; return their size in bytes.

    Raises:
        EncodeError: When something has no exact AMQP form; `out` is then unchanged.
    """
    cdef Scratch scratch
    cdef uint32_t number = channel_of(channel)
    open_scratch(&scratch)
    try:
        open_method(&scratch, BASIC_RETURN)
        put16(&scratch, <uint32_t>named_unsigned(reply_code, 0xFFFF, "reply_code"))
        put_named_short(&scratch, reply_text, "reply_text")
        put_named_short(&scratch, exchange, "exchange")
        put_named_short(&scratch, routing_key, "routing_key")
        return append_content(out, &scratch, number, properties, body, frame_max)
    finally:
        close_scratch(&scratch)
