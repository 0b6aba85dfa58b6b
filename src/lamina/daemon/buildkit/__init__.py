"""BuildKit's protocol: gRPC over taken-over connections, the client's session, and builds told as vertices."""
