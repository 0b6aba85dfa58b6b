"""What several suites share: real daemons on private sockets and roots."""
