ARG TAG=latest
ARG NOVALUE
FROM scratch${MISSING} AS a
FROM scratch${NOVALUE} AS b
FROM scratch${TAGG:+x} AS c
FROM --platform=linux/${TARGETARHC:-amd64} scratch AS d
FROM scratch${TARGETSTAGE:+} AS e
