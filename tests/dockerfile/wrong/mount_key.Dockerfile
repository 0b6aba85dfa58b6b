FROM scratch
RUN --mount=type=cache,tagret=/x true
