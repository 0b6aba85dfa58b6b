FROM scratch
RUN --mount=type=cache,target=/x,mode=9 true
