FROM --platform=$TARGETPLATFORM scratch AS a
FROM --platform=${TARGETPLATFORM:-linux/arm64} scratch AS b
FROM --platform=$BUILDPLATFORM scratch AS c
ARG TARGETPLATFORM
