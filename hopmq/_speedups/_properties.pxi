# The property list: flags, then the values that are there (AMQP 0-9-1, 4.2.6.1).
#
# Properties keeps its fields in slots. Where type(properties) is exactly that class they are
# read and written at the offsets of those slots, which is what attribute access comes down to.


cdef extern from *:
    """
    #include <structmember.h>

    /* The offset of a slot within instances of `type`, or -1 when `name` is no slot. */
    static Py_ssize_t hopmq_slot_offset(PyObject *type, PyObject *name) {
        Py_ssize_t offset = -1;
        PyObject *slot = PyObject_GetAttr(type, name);
        if (slot == NULL) {
            PyErr_Clear();
            return -1;
        }
        if (Py_TYPE(slot) == &PyMemberDescr_Type) {
            PyMemberDef *member = ((PyMemberDescrObject *)slot)->d_member;
            if (member->type == T_OBJECT_EX && !(member->flags & READONLY)) {
                offset = member->offset;
            }
        }
        Py_DECREF(slot);
        return offset;
    }

    static PyObject *hopmq_new_object(PyObject *type, PyObject *no_arguments) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, no_arguments, NULL);
    }
    """
    Py_ssize_t hopmq_slot_offset(object kind, object name) noexcept
    object hopmq_new_object(object kind, object no_arguments)


cdef enum:
    PROPERTY_COUNT = 14
    FLAGS_CONTINUE = 0x0001
    FLAG_RESERVED = 0x0002


cdef enum PropertyKind:
    PROPERTY_SHORT_STRING
    PROPERTY_OCTET
    PROPERTY_TABLE
    PROPERTY_TIMESTAMP


cdef PropertyKind kind_of(str name):
    if name == "headers":
        return PROPERTY_TABLE
    if name == "timestamp":
        return PROPERTY_TIMESTAMP
    return PROPERTY_OCTET if name in ("delivery_mode", "priority") else PROPERTY_SHORT_STRING


cdef tuple NAMES = PROPERTY_NAMES
cdef tuple NO_ARGUMENTS = ()
cdef PropertyKind[PROPERTY_COUNT] KINDS
cdef Py_ssize_t[PROPERTY_COUNT] OFFSETS
cdef bint HAS_OFFSETS = len(NAMES) == PROPERTY_COUNT

if not HAS_OFFSETS:
    raise ImportError("hopmq.wire.properties does not have fourteen properties")

cdef int property_index
for property_index in range(PROPERTY_COUNT):
    KINDS[property_index] = kind_of(NAMES[property_index])
    OFFSETS[property_index] = hopmq_slot_offset(Properties, NAMES[property_index])
    HAS_OFFSETS = HAS_OFFSETS and OFFSETS[property_index] > 0


cdef inline object property_of(object properties, int index, bint direct):
    cdef PyObject* value
    if direct:
        value = (<PyObject**>(<char*><PyObject*>properties + OFFSETS[index]))[0]
        if value != NULL:
            return <object>value
    return getattr(properties, NAMES[index])


cdef inline int set_property(object properties, int index, object value) except -1:
    cdef PyObject** slot
    cdef PyObject* old
    if not HAS_OFFSETS:
        setattr(properties, NAMES[index], value)
        return 0
    slot = <PyObject**>(<char*><PyObject*>properties + OFFSETS[index])
    old = slot[0]
    Py_INCREF(value)
    slot[0] = <PyObject*>value
    Py_XDECREF(old)
    return 0


cdef int put_time(Scratch* scratch, object value, Place* place) except -1:
    if isinstance(value, TIMESTAMP):
        return put64(scratch, unsigned_of(value, LONGLONG_MAX, place))
    if not isinstance(value, DATETIME):
        refuse(reasons.wrong_type("a datetime or Timestamp", value), place)
    return put64(scratch, moment_seconds(value, False, place))


cdef int put_property(Scratch* scratch, object value, int index) except -1:
    cdef Place place
    cdef PropertyKind kind = KINDS[index]
    place.parent = NULL
    place.key = <PyObject*>NAMES[index]
    place.index = 0
    if kind == PROPERTY_SHORT_STRING:
        return put_short(scratch, value, &place)
    if kind == PROPERTY_OCTET:
        return put8(scratch, <uint8_t>unsigned_of(value, 0xFF, &place))
    if kind == PROPERTY_TABLE:
        return put_table(scratch, value, &place)
    return put_time(scratch, value, &place)


cdef int put_properties(Scratch* scratch, object properties) except -1:
    cdef uint32_t flags = 0
    cdef int index
    cdef Py_ssize_t start = scratch.size
    cdef bint direct = HAS_OFFSETS and type(properties) is PROPERTIES
    room(scratch, 2)
    for index in range(PROPERTY_COUNT):
        value = property_of(properties, index, direct)
        if value is not None:
            flags |= <uint32_t>0x8000 >> index
            put_property(scratch, value, index)
    write16(scratch.data + start, flags)
    return 0


def encode_properties(properties):
    """Encode flags and values.

    Raises:
        EncodeError: When a property has no exact AMQP form; the path starts with its name.
    """
    cdef Scratch scratch
    open_scratch(&scratch)
    try:
        put_properties(&scratch, properties)
        return scratch_bytes(&scratch)
    finally:
        close_scratch(&scratch)


cdef uint32_t take_flags(Cursor* cursor) except? 0xFFFFFFFF:
    cdef uint32_t flags = read16(take(cursor, 2))
    if flags & FLAGS_CONTINUE:
        refuse_value(reasons.FLAGS_CONTINUE)
    if flags & FLAG_RESERVED:
        refuse_value(reasons.FLAG_RESERVED)
    return flags


cdef object take_property(Cursor* cursor, int index):
    cdef PropertyKind kind = KINDS[index]
    if kind == PROPERTY_SHORT_STRING:
        return take_short(cursor)
    if kind == PROPERTY_OCTET:
        return take(cursor, 1)[0]
    if kind == PROPERTY_TABLE:
        return take_table(cursor, 0)
    return moment_of(read64(take(cursor, 8)))


cdef int skip_property(Cursor* cursor, int index) except -1:
    cdef PropertyKind kind = KINDS[index]
    if kind == PROPERTY_SHORT_STRING:
        skip_short(cursor)
    elif kind == PROPERTY_OCTET:
        take(cursor, 1)
    elif kind == PROPERTY_TABLE:
        skip_table(cursor, 0)
    else:
        take(cursor, 8)
    return 0


cdef int check_properties(Cursor* cursor) except -1:
    # Refuse what decode_properties would refuse, and build nothing.
    cdef uint32_t flags = take_flags(cursor)
    cdef int index = 0
    if flags:
        try:
            for index in range(PROPERTY_COUNT):
                if flags & (<uint32_t>0x8000 >> index):
                    skip_property(cursor, index)
        except FrameSyntaxError as error:
            refuse_value(reasons.in_property(NAMES[index], error.reason))
    if cursor.at != cursor.end:
        refuse_value(reasons.LEFT_OVER)
    return 0


def decode_properties(bytes raw not None):
    """Decode flags and values, to the last byte.

    Raises:
        FrameSyntaxError: At offset 0, when the bytes are anything but one property list.
    """
    cdef Cursor cursor
    cdef int index = 0
    cdef uint32_t flags
    cursor.at = <const uint8_t*>PyBytes_AS_STRING(raw)
    cursor.end = cursor.at + PyBytes_GET_SIZE(raw)
    flags = take_flags(&cursor)
    properties = hopmq_new_object(PROPERTIES, NO_ARGUMENTS)
    try:
        for index in range(PROPERTY_COUNT):
            value = None
            if flags & (<uint32_t>0x8000 >> index):
                value = take_property(&cursor, index)
            set_property(properties, index, value)
    except FrameSyntaxError as error:
        refuse_value(reasons.in_property(NAMES[index], error.reason))
    if cursor.at != cursor.end:
        refuse_value(reasons.LEFT_OVER)
    return properties
