# What a client does with the events of one read: the twin of hopmq.core.dispatch.Dispatch.batch.


def client_batch(
    object dispatch, object connection, object delivery_type, dict handlers, list events
):
    """Pass deliveries to consumers, acks to confirms, and the rest to `handlers`."""
    cdef object event, kind, channel, consumer, confirms
    for event in events:
        kind = type(event)
        # A channel that ends drops its consumers and confirms, and a connection its channels.
        if kind is delivery_type and isinstance(event, Delivery):
            channel = (<dict?>connection.channels).get((<Delivery>event).channel)
            if channel is not None:
                consumer = (<dict?>channel.consumers).get((<Delivery>event).consumer_tag)
                if consumer is not None:
                    consumer(event)
                    continue
        elif kind is Ack:
            channel = (<dict?>connection.channels).get((<Ack>event).channel)
            if channel is not None:
                confirms = channel.confirms
                if confirms is not None:
                    confirms.acked((<Ack>event).delivery_tag, (<Ack>event).multiple)
                    continue
        handlers[kind](dispatch, event)
