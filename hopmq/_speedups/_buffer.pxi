# Where received bytes wait until they are parsed: the twin of hopmq.wire.receive_buffer.


cdef enum:
    SMALL = 4096
    BUSY = 262_144
    LARGEST_KEPT = BUSY
    IDLE_READS = 64


@cython.final
cdef class ReceiveBuffer:
    # The bytearray is never resized, since views of it may be held; it is replaced.
    cdef bytearray data
    cdef object view
    cdef Py_ssize_t start
    cdef Py_ssize_t end
    cdef Py_ssize_t goal
    cdef int small_reads
    cdef bint lent

    def __cinit__(self):
        self.start = 0
        self.end = 0
        self.goal = SMALL
        self.small_reads = 0
        self.lent = False
        self.data = bytearray(SMALL)
        self.view = memoryview(self.data)

    cdef inline uint8_t* base(self) noexcept:
        return <uint8_t*>PyByteArray_AS_STRING(self.data)

    cdef inline Py_ssize_t free(self) noexcept:
        return PyByteArray_GET_SIZE(self.data) - self.end

    cdef object room(self):
        cdef Py_ssize_t capacity = PyByteArray_GET_SIZE(self.data)
        if self.start == self.end:
            self.refit()
        elif capacity < self.goal:
            # While messages come without a pause, what is held may never be nothing.
            self.compact()
            self.replace(self.goal)
        elif self.start and self.free() < capacity // 2:
            self.compact()
        if self.free() == 0:
            self.replace(2 * self.end)
        self.lent = True
        return self.view[self.end:]

    cdef int written(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t offered = self.free()
        if not 0 <= size <= offered:
            raise UsageError(f"{size} bytes received where get_buffer() offered {offered}")
        self.end += size
        self.lent = False
        if size == offered:
            self.goal = min(2 * self.goal, <Py_ssize_t>BUSY)
            self.small_reads = 0
        elif size > SMALL // 4:
            self.small_reads = 0
        else:
            self.small_reads += 1
            if self.small_reads >= IDLE_READS:
                self.small_reads = 0
                self.goal = SMALL
        return 0

    cdef int append(self, const void* data, Py_ssize_t size) except -1:
        if self.start == self.end:
            self.refit()
        if self.free() < size:
            self.compact()
            if self.free() < size:
                if size > PY_SSIZE_T_MAX - self.end:
                    raise MemoryError
                self.replace(max(self.end + size, 2 * PyByteArray_GET_SIZE(self.data)))
        memcpy(self.base() + self.end, data, size)
        self.end += size
        return 0

    cdef int rest(self) except -1:
        # Small again, at once unless somebody may be about to write into it.
        self.goal = SMALL
        if self.start == self.end and not self.lent:
            self.refit()
        return 0

    cdef int refit(self) except -1:
        # Start over in an empty buffer, of the size that recent reads call for.
        cdef Py_ssize_t capacity = PyByteArray_GET_SIZE(self.data)
        self.start = 0
        self.end = 0
        if (
            capacity < self.goal
            or capacity > LARGEST_KEPT
            or (self.goal == SMALL and capacity > SMALL)
        ):
            self.replace(self.goal)
        return 0

    cdef void compact(self) noexcept:
        if self.start:
            memmove(self.base(), self.base() + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0

    cdef int replace(self, Py_ssize_t capacity) except -1:
        # `capacity` is at least `end`.
        cdef bytearray data = bytearray(capacity)
        memcpy(PyByteArray_AS_STRING(data), self.base(), self.end)
        self.data = data
        self.view = memoryview(data)
        return 0
