"""Sans-IO protocol machines for both ends of an AMQP 0-9-1 connection.

Bytes and calls go in, bytes and events come out; time is an argument. Nothing here knows a
socket, a loop or a clock, so client and server are the same machines in two roles.
"""
