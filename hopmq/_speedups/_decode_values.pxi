# Bytes to Python values: tables, arrays and what they hold; and the same walk building nothing.


cdef inline float read_float(const uint8_t* at) noexcept nogil:
    cdef uint32_t bits = read32(at)
    cdef float value
    memcpy(&value, &bits, 4)
    return value


cdef inline double read_double(const uint8_t* at) noexcept nogil:
    cdef uint64_t bits = read64(at)
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef object take_decimal(Cursor* cursor):
    cdef const uint8_t* at = take(cursor, 5)
    return DECIMAL(f"{<int32_t>read32(at + 1)}E-{at[0]}")


cdef object take_text(Cursor* cursor):
    cdef Cursor inner
    open_long(cursor, &inner)
    if is_ascii(inner.at, inner.end):
        return ascii_of(&inner)
    try:
        return PyUnicode_DecodeUTF8(<const char*>inner.at, inner.end - inner.at, NULL)
    except UnicodeDecodeError:
        return bytes_of(&inner)


cdef object take_value(Cursor* cursor, int depth):
    cdef uint8_t kind = take(cursor, 1)[0]
    if kind == b"S":
        return take_text(cursor)
    elif kind == b"I":
        return <int32_t>read32(take(cursor, 4))
    elif kind == b"l" or kind == b"L":
        return <int64_t>read64(take(cursor, 8))
    elif kind == b"t":
        return take(cursor, 1)[0] != 0
    elif kind == b"b":
        return <int8_t>take(cursor, 1)[0]
    elif kind == b"B":
        return take(cursor, 1)[0]
    elif kind == b"s":
        return <int16_t>read16(take(cursor, 2))
    elif kind == b"u":
        return read16(take(cursor, 2))
    elif kind == b"i":
        return read32(take(cursor, 4))
    elif kind == b"d":
        return read_double(take(cursor, 8))
    elif kind == b"f":
        return read_float(take(cursor, 4))
    elif kind == b"F":
        return take_table(cursor, depth)
    elif kind == b"A":
        return take_array(cursor, depth)
    elif kind == b"T":
        return moment_of(read64(take(cursor, 8)))
    elif kind == b"x":
        return take_long(cursor)
    elif kind == b"V":
        return None
    elif kind == b"D":
        return take_decimal(cursor)
    refuse_value(reasons.unknown_field(kind))


cdef dict take_table(Cursor* cursor, int depth):
    # `depth` counts the tables and arrays around this one.
    cdef Cursor inner
    cdef dict entries = {}
    cdef str key
    if depth >= DEPTH_LIMIT:
        refuse_value(reasons.TOO_DEEP)
    open_long(cursor, &inner)
    while inner.at < inner.end:
        key = take_short(&inner)
        entries[key] = take_value(&inner, depth + 1)
    return entries


cdef list take_array(Cursor* cursor, int depth):
    cdef Cursor inner
    cdef list items = []
    if depth >= DEPTH_LIMIT:
        refuse_value(reasons.TOO_DEEP)
    open_long(cursor, &inner)
    while inner.at < inner.end:
        items.append(take_value(&inner, depth + 1))
    return items


cdef int skip_value(Cursor* cursor, int depth) except -1:
    cdef uint8_t kind = take(cursor, 1)[0]
    cdef Cursor inner
    if kind == b"S" or kind == b"x":
        open_long(cursor, &inner)
    elif kind == b"t" or kind == b"b" or kind == b"B":
        take(cursor, 1)
    elif kind == b"s" or kind == b"u":
        take(cursor, 2)
    elif kind == b"I" or kind == b"i" or kind == b"f":
        take(cursor, 4)
    elif kind == b"l" or kind == b"L" or kind == b"d" or kind == b"T":
        take(cursor, 8)
    elif kind == b"F":
        skip_table(cursor, depth)
    elif kind == b"A":
        skip_array(cursor, depth)
    elif kind == b"D":
        take(cursor, 5)
    elif kind != b"V":
        refuse_value(reasons.unknown_field(kind))
    return 0


cdef int skip_table(Cursor* cursor, int depth) except -1:
    cdef Cursor inner
    if depth >= DEPTH_LIMIT:
        refuse_value(reasons.TOO_DEEP)
    open_long(cursor, &inner)
    while inner.at < inner.end:
        skip_short(&inner)
        skip_value(&inner, depth + 1)
    return 0


cdef int skip_array(Cursor* cursor, int depth) except -1:
    cdef Cursor inner
    if depth >= DEPTH_LIMIT:
        refuse_value(reasons.TOO_DEEP)
    open_long(cursor, &inner)
    while inner.at < inner.end:
        skip_value(&inner, depth + 1)
    return 0


def decode_table(bytes raw not None):
    """Decode a whole table that starts with its 4-byte length.

    Raises:
        FrameSyntaxError: At offset 0, when the bytes are anything but one table.
    """
    cdef Cursor cursor
    cursor.at = <const uint8_t*>PyBytes_AS_STRING(raw)
    cursor.end = cursor.at + PyBytes_GET_SIZE(raw)
    cdef dict value = take_table(&cursor, 0)
    if cursor.at != cursor.end:
        refuse_value(reasons.LEFT_OVER)
    return value
