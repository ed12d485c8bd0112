# Reading received bytes: the one checked primitive, and integers and strings upon it.


cdef extern from "Python.h":
    int PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    void* PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)
    object PyUnicode_New(Py_ssize_t size, uint32_t largest)


cdef struct Cursor:
    const uint8_t* at
    const uint8_t* end


cdef int refuse_truncated() except -1:
    raise FrameSyntaxError(0, reasons.TRUNCATED)


cdef int refuse_value(str reason) except -1:
    raise FrameSyntaxError(0, reason)


cdef inline const uint8_t* take(Cursor* cursor, int64_t size) except NULL:
    # Step over `size` bytes and return where they start, if they are all there.
    cdef const uint8_t* at = cursor.at
    if <int64_t>(cursor.end - at) < size:
        refuse_truncated()
    cursor.at = at + size
    return at


cdef inline uint32_t read16(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 8) | at[1]


cdef inline uint32_t read32(const uint8_t* at) noexcept nogil:
    return (
        (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]
    )


cdef inline uint64_t read64(const uint8_t* at) noexcept nogil:
    return (<uint64_t>read32(at) << 32) | read32(at + 4)


cdef inline int open_long(Cursor* outer, Cursor* inner) except -1:
    # Read a 4-byte length and set `inner` on that many bytes of `outer`.
    cdef int64_t size = read32(take(outer, 4))
    inner.at = take(outer, size)
    inner.end = outer.at
    return 0


cdef inline int open_short(Cursor* outer, Cursor* inner) except -1:
    cdef int64_t size = take(outer, 1)[0]
    inner.at = take(outer, size)
    inner.end = outer.at
    return 0


cdef inline bytes bytes_of(Cursor* cursor):
    return PyBytes_FromStringAndSize(<const char*>cursor.at, cursor.end - cursor.at)


cdef inline bint is_ascii(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef uint64_t word
    while end - at >= 8:
        memcpy(&word, at, 8)
        if word & <uint64_t>0x8080808080808080:
            return False
        at += 8
    while at < end:
        if at[0] & 0x80:
            return False
        at += 1
    return True


cdef inline str ascii_of(Cursor* cursor):
    cdef Py_ssize_t size = cursor.end - cursor.at
    cdef object text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(text), cursor.at, size)
    return text


cdef str decoded(Cursor* cursor):
    try:
        return PyUnicode_DecodeUTF8(<const char*>cursor.at, cursor.end - cursor.at, NULL)
    except UnicodeDecodeError:
        raise FrameSyntaxError(0, reasons.NOT_UTF8) from None


cdef inline str text_of(Cursor* cursor):
    # The text of a short string.
    return ascii_of(cursor) if is_ascii(cursor.at, cursor.end) else decoded(cursor)


cdef inline str take_short(Cursor* cursor):
    cdef Cursor inner
    open_short(cursor, &inner)
    return text_of(&inner)


cdef bytes take_long(Cursor* cursor):
    cdef Cursor inner
    open_long(cursor, &inner)
    return bytes_of(&inner)


cdef inline bint is_like(const uint8_t* at, uint8_t low, uint8_t high) noexcept nogil:
    return low <= at[0] <= high


cdef bint is_utf8(const uint8_t* at, const uint8_t* end) noexcept nogil:
    # Whether Python would decode it: RFC 3629, table 3-7 of the Unicode standard.
    cdef uint8_t lead
    while at < end:
        lead = at[0]
        if lead < 0x80:
            at += 1
        elif lead < 0xE0:
            if lead < 0xC2 or end - at < 2 or not is_like(at + 1, 0x80, 0xBF):
                return False
            at += 2
        elif lead < 0xF0:
            if end - at < 3 or not is_like(at + 2, 0x80, 0xBF):
                return False
            if not is_like(
                at + 1, 0xA0 if lead == 0xE0 else 0x80, 0x9F if lead == 0xED else 0xBF
            ):
                return False
            at += 3
        else:
            if lead > 0xF4 or end - at < 4:
                return False
            if not is_like(
                at + 1, 0x90 if lead == 0xF0 else 0x80, 0x8F if lead == 0xF4 else 0xBF
            ):
                return False
            if not is_like(at + 2, 0x80, 0xBF) or not is_like(at + 3, 0x80, 0xBF):
                return False
            at += 4
    return True


cdef inline int skip_short(Cursor* cursor) except -1:
    cdef Cursor inner
    open_short(cursor, &inner)
    if not is_ascii(inner.at, inner.end) and not is_utf8(inner.at, inner.end):
        refuse_value(reasons.NOT_UTF8)
    return 0
