# Python values to bytes: tables, arrays and what they hold.


cdef uint32_t LONG_MAX = 0xFFFFFFFF
cdef uint64_t LONGLONG_MAX = 0xFFFFFFFFFFFFFFFF


cdef inline int put_long(
    Scratch* scratch, const void* data, Py_ssize_t size, Place* place
) except -1:
    cdef uint8_t* at
    if <uint64_t>size > LONG_MAX:
        refuse(reasons.TOO_LARGE, place)
    at = room(scratch, size + 4)
    write32(at, <uint32_t>size)
    memcpy(at + 4, data, size)
    return 0


cdef int put_text(Scratch* scratch, object value, Place* place) except -1:
    cdef Py_ssize_t size = 0
    cdef const char* data = PyUnicode_AsUTF8AndSize(value, &size)
    if data == NULL:
        refuse_text(place)
    return put_long(scratch, data, size, place)


cdef bytes copied(object buffer, Place* place):
    # As octets of the pure codec: the contents of a buffer that is not bytes.
    try:
        return octets(buffer)
    except EncodeError as error:
        reason = error.reason
    refuse(reason, place)


cdef int put_buffer(Scratch* scratch, object value, Place* place) except -1:
    if not isinstance(value, bytes):
        value = copied(value, place)
    return put_long(scratch, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), place)


cdef int put_long_string(Scratch* scratch, object value, Place* place) except -1:
    # A method's long string, which is either text or bytes.
    if isinstance(value, str):
        return put_text(scratch, value, place)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return put_buffer(scratch, value, place)
    refuse(reasons.wrong_type("str or bytes", value), place)


cdef int put_integer(Scratch* scratch, object value, Place* place) except -1:
    # As the smallest signed type that holds it.
    cdef int overflow = 0
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    cdef uint8_t* at
    if overflow:
        refuse(reasons.INT_TOO_LARGE, place)
    if -0x80 <= number <= 0x7F:
        at = room(scratch, 2)
        at[0] = b"b"
        at[1] = <uint8_t>number
    elif -0x8000 <= number <= 0x7FFF:
        at = room(scratch, 3)
        at[0] = b"s"
        write16(at + 1, <uint32_t>number)
    elif -0x80000000LL <= number <= 0x7FFFFFFFLL:
        at = room(scratch, 5)
        at[0] = b"I"
        write32(at + 1, <uint32_t>number)
    else:
        at = room(scratch, 9)
        at[0] = b"l"
        write64(at + 1, <uint64_t>number)
    return 0


cdef int put_double(Scratch* scratch, double value) except -1:
    cdef uint8_t* at = room(scratch, 9)
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    at[0] = b"d"
    write64(at + 1, bits)
    return 0


cdef tuple exact_parts(object value, Place* place):
    try:
        return decimal_parts(value)
    except EncodeError as error:
        reason = error.reason
    refuse(reason, place)


cdef int put_decimal(Scratch* scratch, object value, Place* place) except -1:
    # As decimal_parts of the pure codec, for the usual decimals without its arithmetic.
    cdef int64_t unscaled = 0
    cdef int scale
    cdef uint8_t* at
    sign, digits, exponent = DECIMAL.as_tuple(value)
    if type(exponent) is int and -255 <= exponent <= 0 and len(digits) <= 10:
        scale = -<int>exponent
        for digit in digits:
            unscaled = unscaled * 10 + <int>digit
        if sign:
            unscaled = -unscaled
    else:
        scale, unscaled = exact_parts(value, place)
    if not -0x80000000LL <= unscaled <= 0x7FFFFFFFLL:
        refuse(reasons.DECIMAL_TOO_LARGE, place)
    at = room(scratch, 6)
    at[0] = b"D"
    at[1] = <uint8_t>scale
    write32(at + 2, <uint32_t>unscaled)
    return 0


cdef uint64_t moment_seconds(object value, bint exact, Place* place) except? 0xFFFFFFFF:
    try:
        return seconds_of(value, exact)
    except EncodeError as error:
        reason = error.reason
    refuse(reason, place)


cdef int put_field_time(Scratch* scratch, uint64_t seconds) except -1:
    cdef uint8_t* at = room(scratch, 9)
    at[0] = b"T"
    write64(at + 1, seconds)
    return 0


cdef int put_value(Scratch* scratch, object value, int depth, Place* place) except -1:
    cdef object kind = type(value)
    if kind is str:
        put8(scratch, b"S")
        return put_text(scratch, value, place)
    if kind is int:
        return put_integer(scratch, value, place)
    if value is None:
        return put8(scratch, b"V")
    if kind is bool:
        return put16(scratch, 0x7401 if value is True else 0x7400)
    if kind is float:
        return put_double(scratch, value)
    if kind is dict:
        return put_table_field(scratch, value, depth, place)
    if kind is list or kind is tuple:
        return put_array(scratch, value, depth, place)
    return put_other(scratch, value, depth, place)


cdef int put_other(Scratch* scratch, object value, int depth, Place* place) except -1:
    # The rarer types, and subclasses as their base, in the documented order.
    if type(value) is DATETIME:
        return put_field_time(scratch, moment_seconds(value, True, place))
    if type(value) is DECIMAL:
        return put_decimal(scratch, value, place)
    if isinstance(value, TIMESTAMP):
        return put_field_time(scratch, unsigned_of(value, LONGLONG_MAX, place))
    if isinstance(value, int):
        return put_integer(scratch, value, place)
    if isinstance(value, float):
        return put_double(scratch, value)
    if isinstance(value, DECIMAL):
        return put_decimal(scratch, value, place)
    if isinstance(value, DATETIME):
        return put_field_time(scratch, moment_seconds(value, True, place))
    if isinstance(value, str):
        put8(scratch, b"S")
        return put_text(scratch, value, place)
    if isinstance(value, (bytes, bytearray, memoryview)):
        put8(scratch, b"x")
        return put_buffer(scratch, value, place)
    if isinstance(value, (list, tuple)):
        return put_array(scratch, value, depth, place)
    if isinstance(value, dict):
        return put_table_field(scratch, value, depth, place)
    refuse(reasons.unsupported(value), place)


cdef inline int close_length(Scratch* scratch, Py_ssize_t start, Place* place) except -1:
    # Fill in the length that was left open before `start`.
    cdef Py_ssize_t size = scratch.size - start
    if <uint64_t>size > LONG_MAX:
        refuse(reasons.TOO_LARGE, place)
    write32(scratch.data + start - 4, <uint32_t>size)
    return 0


cdef int put_array(Scratch* scratch, object value, int depth, Place* parent) except -1:
    cdef Place place
    cdef Py_ssize_t start
    if depth >= DEPTH_LIMIT:
        refuse(reasons.TOO_DEEP, parent)
    place.parent = parent
    place.key = NULL
    place.index = 0
    room(scratch, 5)
    start = scratch.size
    scratch.data[start - 5] = b"A"
    for item in value:
        put_value(scratch, item, depth + 1, &place)
        place.index += 1
    return close_length(scratch, start, parent)


cdef inline int put_table_field(
    Scratch* scratch, object value, int depth, Place* place
) except -1:
    put8(scratch, b"F")
    return put_entries(scratch, value, depth, place)


cdef int put_entries(Scratch* scratch, object value, int depth, Place* parent) except -1:
    cdef Place place
    cdef Py_ssize_t start
    if depth >= DEPTH_LIMIT:
        refuse(reasons.TOO_DEEP, parent)
    place.parent = parent
    place.index = 0
    room(scratch, 4)
    start = scratch.size
    for key, item in value.items():
        if not isinstance(key, str):
            refuse(reasons.wrong_type("a str as table key", key), parent)
        place.key = <PyObject*>key
        put_short(scratch, key, &place)
        put_value(scratch, item, depth + 1, &place)
    return close_length(scratch, start, parent)


cdef int put_table(Scratch* scratch, object value, Place* place) except -1:
    # A table with its length, such as a method's arguments or a message's headers.
    if not isinstance(value, dict):
        refuse(reasons.wrong_type("a dict", value), place)
    return put_entries(scratch, value, 0, place)


def encode_table(value):
    """Encode a table with its 4-byte length.

    Raises:
        EncodeError: When something in it has no exact AMQP form.
    """
    cdef Scratch scratch
    cdef Place place = named("")
    open_scratch(&scratch)
    try:
        put_table(&scratch, value, &place)
        return scratch_bytes(&scratch)
    finally:
        close_scratch(&scratch)
