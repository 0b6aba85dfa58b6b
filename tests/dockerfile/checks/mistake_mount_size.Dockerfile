FROM scratch
ARG S=lots
RUN --mount=type=tmpfs,target=/x,size=$S true
