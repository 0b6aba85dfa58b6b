FROM scratch
RUN --mount=type=cache,\"target=/x\"y true
