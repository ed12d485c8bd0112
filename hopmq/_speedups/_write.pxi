# Writing frames: a scratch that grows, and integers and strings put into it.


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) noexcept
    int64_t PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    uint64_t PyLong_AsUnsignedLongLong(object value) except? -1


cdef enum:
    SCRATCH_SIZE = 1024


cdef struct Scratch:
    # Lives on the stack of one call; `data` is `local` until that is too small.
    uint8_t* data
    Py_ssize_t size
    Py_ssize_t capacity
    uint8_t[SCRATCH_SIZE] local


cdef inline void open_scratch(Scratch* scratch) noexcept:
    scratch.data = scratch.local
    scratch.size = 0
    scratch.capacity = SCRATCH_SIZE


cdef inline void close_scratch(Scratch* scratch) noexcept:
    if scratch.data != scratch.local:
        PyMem_Free(scratch.data)


cdef int grow(Scratch* scratch, Py_ssize_t size) except -1:
    cdef uint8_t* data
    cdef Py_ssize_t capacity = scratch.capacity
    if size > PY_SSIZE_T_MAX - scratch.size:
        raise MemoryError
    if capacity <= PY_SSIZE_T_MAX // 2:
        capacity *= 2
    capacity = max(capacity, scratch.size + size)
    if scratch.data == scratch.local:
        data = <uint8_t*>PyMem_Malloc(capacity)
        if data != NULL:
            memcpy(data, scratch.local, scratch.size)
    else:
        data = <uint8_t*>PyMem_Realloc(scratch.data, capacity)
    if data == NULL:
        raise MemoryError
    scratch.data = data
    scratch.capacity = capacity
    return 0


cdef inline uint8_t* room(Scratch* scratch, Py_ssize_t size) except NULL:
    # Count `size` bytes as written and return where to write them.
    cdef uint8_t* at
    if scratch.capacity - scratch.size < size:
        grow(scratch, size)
    at = scratch.data + scratch.size
    scratch.size += size
    return at


cdef inline void write16(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


cdef inline void write32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 24)
    at[1] = <uint8_t>(value >> 16)
    at[2] = <uint8_t>(value >> 8)
    at[3] = <uint8_t>value


cdef inline void write64(uint8_t* at, uint64_t value) noexcept nogil:
    write32(at, <uint32_t>(value >> 32))
    write32(at + 4, <uint32_t>value)


cdef inline int put8(Scratch* scratch, uint8_t value) except -1:
    room(scratch, 1)[0] = value
    return 0


cdef inline int put16(Scratch* scratch, uint32_t value) except -1:
    write16(room(scratch, 2), value)
    return 0


cdef inline int put32(Scratch* scratch, uint32_t value) except -1:
    write32(room(scratch, 4), value)
    return 0


cdef inline int put64(Scratch* scratch, uint64_t value) except -1:
    write64(room(scratch, 8), value)
    return 0


cdef inline int put_raw(Scratch* scratch, const void* data, Py_ssize_t size) except -1:
    memcpy(room(scratch, size), data, size)
    return 0


cdef inline bytes scratch_bytes(Scratch* scratch):
    return PyBytes_FromStringAndSize(<const char*>scratch.data, scratch.size)


# --- where a refused value stands ----------------------------------------------------------------


cdef struct Place:
    # A link of the chain from a value up to the argument it is part of. The outermost has no
    # parent and a key that is a name; the others have a key, or an index where key is NULL.
    Place* parent
    PyObject* key
    Py_ssize_t index


cdef str path_of(Place* place):
    cdef list steps = []
    while place != NULL:
        if place.key == NULL:
            steps.append(f"[{place.index}]")
        elif place.parent == NULL:
            steps.append(<object>place.key)
        else:
            steps.append(f"[{str.__repr__(<object>place.key)}]")
        place = place.parent
    steps.reverse()
    return "".join(steps)


cdef int refuse(str reason, Place* place) except -1:
    raise EncodeError(reason, path_of(place))


cdef inline Place named(str name) noexcept:
    # `name` outlives the place: it is a constant of this module or of a table of names.
    cdef Place place
    place.parent = NULL
    place.key = <PyObject*>name
    place.index = 0
    return place


cdef uint64_t unsigned_of(object value, uint64_t high, Place* place) except? 0xFFFFFFFF:
    # The integer that is due within 0..high.
    cdef int overflow = 0
    cdef int64_t small
    cdef uint64_t large = 0
    if not isinstance(value, int):
        refuse(reasons.wrong_type("an int", value), place)
    small = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow == 0 and small >= 0 and <uint64_t>small <= high:
        return <uint64_t>small
    if overflow > 0 and high > <uint64_t>0x7FFFFFFFFFFFFFFF:
        try:
            large = PyLong_AsUnsignedLongLong(value)
        except OverflowError:
            refuse(reasons.out_of_range(0, high), place)
        if large <= high:
            return large
    refuse(reasons.out_of_range(0, high), place)


cdef inline uint64_t named_unsigned(object value, uint64_t high, str name) except? 0xFFFFFFFF:
    cdef Place place = named(name)
    return unsigned_of(value, high, &place)


cdef int refuse_text(Place* place) except -1:
    # PyUnicode_AsUTF8AndSize has failed: for lone surrogates, or for lack of memory.
    if not PyErr_ExceptionMatches(UnicodeEncodeError):
        return -1
    PyErr_Clear()
    refuse(reasons.SURROGATES, place)


cdef int put_short(Scratch* scratch, object value, Place* place) except -1:
    cdef Py_ssize_t size = 0
    cdef const char* data
    cdef uint8_t* at
    if not isinstance(value, str):
        refuse(reasons.wrong_type("a str", value), place)
    data = PyUnicode_AsUTF8AndSize(value, &size)
    if data == NULL:
        refuse_text(place)
    if size > SHORTSTR_SIZE:
        refuse(reasons.string_too_long(size), place)
    at = room(scratch, size + 1)
    at[0] = <uint8_t>size
    memcpy(at + 1, data, size)
    return 0


cdef inline int put_named_short(Scratch* scratch, object value, str name) except -1:
    cdef Place place = named(name)
    return put_short(scratch, value, &place)
