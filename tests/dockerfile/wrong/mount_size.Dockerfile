FROM scratch
RUN --mount=type=bind,size=1m,target=/x true
