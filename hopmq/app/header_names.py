"""The headers that applications write into messages, beside those of their users.

All begin with `x-`, so that headers exchanges do not route by them (AMQP 0-9-1, 3.1.3.4), but for
those that exist for it: of delays and of parking.
"""

from typing import Final

ATTEMPTS: Final = "x-hopmq-attempts"
"""How many attempts have failed."""
FIRST_FAILED: Final = "x-hopmq-first-failed"
"""When the first of them did."""
LAST_FAILED: Final = "x-hopmq-last-failed"
"""When the last of them did."""
REASON: Final = "x-hopmq-reason"
"""Why the last one failed, for people."""
ERROR: Final = "x-hopmq-error"
"""The type of the exception, or the code of a remote error."""
QUEUE: Final = "x-hopmq-queue"
"""The queue that a retried or parked message came from."""
EXCHANGE: Final = "x-hopmq-exchange"
"""The exchange that it was published to at first."""
PARKED_ID: Final = "x-hopmq-parked-id"
"""What a parked message is called."""
DEADLINE: Final = "x-hopmq-deadline"
"""When a request's caller stops waiting, in milliseconds since 1970 by its clock."""
DELAY_TO: Final = "hopmq-delay-to"
"""The queue that a delayed message goes to in the end."""
DELAY_BIT: Final = "hopmq-delay-{:02d}"
"""Whether it waits on a level of the ladder, and with which others."""
PARK_TO: Final = "hopmq-park-to"
"""The queue that a message is parked in."""
