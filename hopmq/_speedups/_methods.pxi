# Methods that are not hot, driven by the plans of hopmq.wire.methods.


cdef enum ArgumentKind:
    BITS
    ARG_OCTET
    ARG_SHORT
    ARG_LONG
    ARG_LONGLONG
    ARG_SHORTSTR
    ARG_LONGSTR
    ARG_TABLE


cdef dict ARGUMENT_KINDS = {
    "bit": BITS,
    "octet": ARG_OCTET,
    "short": ARG_SHORT,
    "long": ARG_LONG,
    "longlong": ARG_LONGLONG,
    "shortstr": ARG_SHORTSTR,
    "longstr": ARG_LONGSTR,
    "table": ARG_TABLE,
}


@cython.final
cdef class Argument:
    # One argument, or up to eight bits that share an octet.
    cdef ArgumentKind kind
    cdef str name
    cdef tuple names
    cdef object default

    def __cinit__(self, step):
        self.kind = ARGUMENT_KINDS[step.kind]
        self.names = step.names
        self.name = step.names[0]
        self.default = step.default


@cython.final
cdef class MethodPlan:
    cdef object kind
    cdef str name
    cdef uint32_t index
    cdef list arguments

    def __cinit__(self, index, plan):
        self.kind = plan.kind
        self.name = plan.name
        self.index = index
        self.arguments = [Argument(step) for step in plan.steps]


cdef dict METHODS = {index: MethodPlan(index, plan) for index, plan in PLANS.items()}
cdef dict METHODS_BY_TYPE = {plan.kind: METHODS[index] for index, plan in PLANS.items()}


cdef int put_bits(Scratch* scratch, object method, tuple names) except -1:
    cdef uint8_t octet = 0
    cdef int position = 0
    for name in names:
        if getattr(method, name, None):
            octet |= <uint8_t>(1 << position)
        position += 1
    return put8(scratch, octet)


cdef int put_argument(Scratch* scratch, Argument argument, object value) except -1:
    cdef Place place = named(argument.name)
    cdef ArgumentKind kind = argument.kind
    if value is None:
        value = argument.default
    if kind == ARG_SHORTSTR:
        return put_short(scratch, value, &place)
    if kind == ARG_OCTET:
        return put8(scratch, <uint8_t>unsigned_of(value, 0xFF, &place))
    if kind == ARG_SHORT:
        return put16(scratch, <uint32_t>unsigned_of(value, 0xFFFF, &place))
    if kind == ARG_LONG:
        return put32(scratch, <uint32_t>unsigned_of(value, LONG_MAX, &place))
    if kind == ARG_LONGLONG:
        return put64(scratch, unsigned_of(value, LONGLONG_MAX, &place))
    if kind == ARG_LONGSTR:
        return put_long_string(scratch, value, &place)
    return put_table(scratch, {} if value is None else value, &place)


cdef int put_method(Scratch* scratch, object method) except -1:
    cdef MethodPlan plan = METHODS_BY_TYPE.get(type(method))
    cdef Argument argument
    if plan is None:
        plan = METHODS_BY_TYPE[plan_of(method).kind]
    put32(scratch, plan.index)
    for argument in plan.arguments:
        if argument.kind == BITS:
            put_bits(scratch, method, argument.names)
        else:
            put_argument(scratch, argument, getattr(method, argument.name, None))
    return 0


cdef int take_bits(Cursor* cursor, object method, tuple names) except -1:
    cdef uint8_t octet = take(cursor, 1)[0]
    for name in names:
        setattr(method, name, octet & 1 != 0)
        octet >>= 1
    return 0


cdef object take_argument(Cursor* cursor, ArgumentKind kind):
    if kind == ARG_SHORTSTR:
        return take_short(cursor)
    if kind == ARG_OCTET:
        return take(cursor, 1)[0]
    if kind == ARG_SHORT:
        return read16(take(cursor, 2))
    if kind == ARG_LONG:
        return read32(take(cursor, 4))
    if kind == ARG_LONGLONG:
        return read64(take(cursor, 8))
    if kind == ARG_LONGSTR:
        return take_long(cursor)
    return take_table(cursor, 0)


cdef object take_method(Cursor* cursor, MethodPlan plan):
    # The arguments behind the method's id, to the last byte.
    cdef Argument argument
    cdef object method = hopmq_new_object(plan.kind, NO_ARGUMENTS)
    try:
        for argument in plan.arguments:
            if argument.kind == BITS:
                take_bits(cursor, method, argument.names)
            else:
                setattr(method, argument.name, take_argument(cursor, argument.kind))
        if cursor.at != cursor.end:
            refuse_value(reasons.LEFT_OVER)
    except FrameSyntaxError as error:
        refuse_value(reasons.in_method(plan.name, error.reason))
    return method
