# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, auto_pickle=False
"""The compiled codec: the twin of hopmq.wire's pure one, with the same names and errors.

Every read of received bytes goes through `take`, which compares with the end of what may be
read; `boundscheck` is off behind it. Bytes are put together by shifts, so that nothing is read
unaligned, and no function calls itself without counting the depth.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport (
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_new,
    datetime_second,
    datetime_tzinfo,
    datetime_year,
    get_utc,
    import_datetime,
)
from cpython.exc cimport PyErr_Clear, PyErr_ExceptionMatches
from cpython.list cimport PyList_Append
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

from datetime import datetime
from decimal import Decimal

from hopmq.errors import EncodeError, FrameSyntaxError, UsageError
from hopmq.typedefs import Timestamp
from hopmq.wire import reasons
from hopmq.wire.encode_values import decimal_parts, octets, time_seconds
from hopmq.wire.events import same_event, show_event
from hopmq.wire.limits import DEFAULT_MAX_MESSAGE_SIZE as _DEFAULT_MAX_MESSAGE_SIZE
from hopmq.wire.limits import FRAME_MIN_SIZE as _FRAME_MIN_SIZE
from hopmq.wire.limits import MAX_CHANNEL as _MAX_CHANNEL
from hopmq.wire.limits import BODY_BY_REFERENCE, INCOMPLETE_MESSAGES, TABLE_DEPTH
from hopmq.wire.limits import UNREAD_OVERHEAD as _UNREAD_OVERHEAD
from hopmq.wire.methods import PLANS, plan_of
from hopmq.wire.properties import PROPERTY_NAMES, Properties

import_datetime()

CODEC_VERSION = 7
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# What is looked up often, read once.
cdef type DATETIME = datetime
cdef type DECIMAL = Decimal
cdef type TIMESTAMP = Timestamp
cdef type PROPERTIES = Properties
cdef int DEPTH_LIMIT = TABLE_DEPTH
cdef Py_ssize_t REFERENCE_SIZE = BODY_BY_REFERENCE
cdef int64_t UNREAD_OVERHEAD = _UNREAD_OVERHEAD
cdef bytes NO_PROPERTIES = b"\x00\x00"

cdef enum:
    FRAME_METHOD = 1
    FRAME_HEADER = 2
    FRAME_BODY = 3
    FRAME_HEARTBEAT = 8
    FRAME_END = 0xCE
    FRAME_OVERHEAD = 8
    CONNECTION_CLASS = 10
    BASIC_CLASS = 60
    SHORTSTR_SIZE = 255
    CHANNEL_LIMIT = 65_535

include "_read.pxi"
include "_time.pxi"
include "_decode_values.pxi"
include "_write.pxi"
include "_encode_values.pxi"
include "_properties.pxi"
include "_methods.pxi"
include "_encoder.pxi"
include "_events.pxi"
include "_buffer.pxi"
include "_assembly.pxi"
include "_decoder.pxi"
include "_confirms.pxi"
include "_unread.pxi"
include "_batches.pxi"
