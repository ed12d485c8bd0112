# Messages that wait for a reader: the twins of hopmq.core.unread.


cdef class UnreadBytes:
    """What waits unread on one connection, with all that it takes here."""

    cdef public int64_t limit
    cdef public int64_t unread
    cdef public bint paused

    def __init__(self, int64_t limit):
        """Start with nothing unread."""
        self.limit = limit
        self.unread = 0
        self.paused = False

    def overrun(self):
        """Hear of a message that came when more is unread than the limit, for the owner to use."""

    def eased(self):
        """Hear of a message that was taken while all is paused, for the owner to use."""


cdef class Unread:
    """Messages of one reader, in the order in which they came."""

    cdef UnreadBytes budget
    cdef list arrived  # the newest last
    cdef list leaving  # what came before these, the oldest last
    cdef public object on_first
    cdef public object on_awaited

    def __init__(self, UnreadBytes budget not None):
        """Count on `budget`."""
        self.budget = budget
        self.arrived = None
        self.leaving = None
        self.on_first = None
        self.on_awaited = None

    def __len__(self):
        """Return how many messages wait."""
        cdef Py_ssize_t count = 0
        if self.arrived is not None:
            count = len(self.arrived)
        if self.leaving is not None:
            count += len(self.leaving)
        return count

    def put(self, message):
        """Add a message."""
        cdef int64_t size = unread_size(message)
        cdef UnreadBytes budget = self.budget
        if self.arrived is None:
            self.arrived = []
            if self.on_first is not None:
                self.on_first()
        self.arrived.append(message)
        budget.unread += size
        if budget.unread > budget.limit:
            budget.overrun()
        if self.on_awaited is not None:
            self.on_awaited()

    def take(self):
        """Take the oldest message; None when there is none."""
        cdef UnreadBytes budget = self.budget
        cdef list leaving = self.leaving
        if not leaving:
            leaving = self.arrived
            if not leaving:
                return None
            leaving.reverse()
            self.arrived = [] if self.leaving is None else self.leaving
            self.leaving = leaving
        message = leaving.pop()
        budget.unread -= unread_size(message)
        if budget.paused:
            budget.eased()
        return message

    def take_all(self):
        """Take every message, oldest first."""
        cdef list taken = []
        message = self.take()
        while message is not None:
            taken.append(message)
            message = self.take()
        return taken


cdef inline int64_t unread_size(object message) except? -1:
    if isinstance(message, Content):
        return octets_of(<Content>message) + UNREAD_OVERHEAD
    return message.octets() + UNREAD_OVERHEAD
