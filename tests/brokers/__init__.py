"""The real brokers that tests run against, and the tests of the starter."""
