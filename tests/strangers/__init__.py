"""Other clients on every broker: what they get from the embedded one is what RabbitMQ gives them."""
