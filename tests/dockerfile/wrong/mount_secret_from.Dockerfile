FROM scratch
RUN --mount=type=secret,id=a,from=b true
